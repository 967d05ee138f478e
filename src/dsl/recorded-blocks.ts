/**
 * Blocks that record their outcome together with their effect, so that a repeat under the same key finds it and does nothing: a
 * lost attempt of theirs is simply made again.
 */
export const RECORDED_BLOCKS: ReadonlySet<string> = new Set(['sql.execute', 'sql.transaction']);

/** True for a block whose repeats find what the first attempt did. */
export function isRecordedBlock(blockType: string): boolean {
  return RECORDED_BLOCKS.has(blockType);
}
