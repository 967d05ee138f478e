import type { ProcessExit } from './block-process';
import { MEMORY_LIMIT_MARK } from './protocol';

/**
 * Why a process that ran blocks is gone: for its memory; at the deadline of a step; since a cancelled step did not stop; of its own;
 * since it held much memory after a step; since another memory limit was needed; with its pool.
 */
export const EXIT_REASONS = ['memory', 'deadline', 'cancelled', 'crash', 'retired', 'replaced', 'stopped'] as const;

export type ExitReason = (typeof EXIT_REASONS)[number];

/** Why a process ended that was not told to: the kernel ends one for its memory by SIGKILL, without a word; V8 says so before it aborts. */
export function isMemoryLikely({ signal, stderr }: ProcessExit): boolean {
  return signal === 'SIGKILL' || stderr.includes(MEMORY_LIMIT_MARK) || /out of memory|bad_alloc/i.test(stderr);
}
