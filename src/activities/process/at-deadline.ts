import type { BlockContext } from '../block';

/** The longest timer that Node has; later deadlines are Temporal's to watch. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls back at the deadline and some time more, unless it is further away than timers reach. */
export function atDeadline(
  { deadline }: BlockContext,
  onDeadline: () => void,
  graceMs = 0,
): NodeJS.Timeout | undefined {
  const left = Math.max(0, deadline - Date.now()) + graceMs;
  return left > MAX_TIMER_MS ? undefined : setTimeout(onDeadline, left);
}
