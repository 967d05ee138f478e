/**
 * Blocks that record their outcome together with their effect, so that a repeat under the same key finds it and does nothing: a
 * lost attempt of theirs is simply made again.
 */
const RECORDED: ReadonlySet<string> = new Set(['sql.execute', 'sql.transaction']);

/** True for a block whose repeats find what the first attempt did. */
export function isRecordedBlock(blockType: string): boolean {
  return RECORDED.has(blockType);
}
