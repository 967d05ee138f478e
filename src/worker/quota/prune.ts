import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Rule } from '../state/rule';
import { pruneExpired } from './lease-rules';

/** Transactions of one call. */
const MAX_ROUNDS = 20;

/** Removes what has expired, with pauses for others; false where more is left. */
export async function prune(run: (rule: () => Rule<boolean>) => Promise<boolean>): Promise<boolean> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (await run(pruneExpired)) return true;
    await nextTurn();
  }
  return false;
}
