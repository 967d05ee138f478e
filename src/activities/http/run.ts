import type { BlockContext } from '../block';
import { BlockFailure, notRetryable, retryable } from '../block-failure';
import type { HttpCall } from './call';

/** Longest delay that setTimeout takes; longer ones fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Runs the work of a call under a signal that aborts with the step or shortly before the attempt's deadline, so that
 * the block reports the timeout itself. Decides what may be tried again: a lost answer and a timeout only where the
 * call is repeatable. Throws the step's abort reason, BLW_HTTP_TIMEOUT, or what the work throws.
 */
export async function runCall<T>(
  call: HttpCall,
  context: BlockContext,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  context.signal.throwIfAborted();
  const budgetMs = attemptBudgetMs(context.deadline - Date.now());
  if (budgetMs <= 0) throw timeoutFailure(call, 0);
  const deadline = new AbortController();
  const timeUp = timeoutFailure(call, budgetMs);
  const timer = setTimeout(() => deadline.abort(timeUp), Math.min(budgetMs, MAX_TIMER_MS));
  try {
    return await work(AbortSignal.any([context.signal, deadline.signal]));
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    throw call.isRepeatable ? error : withoutRetry(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Leaves 5 % of the time, at least 50 and at most 250 ms, to report the timeout before Temporal counts the attempt as lost. */
function attemptBudgetMs(remainingMs: number): number {
  return remainingMs - Math.min(250, Math.max(50, remainingMs * 0.05));
}

function timeoutFailure(call: HttpCall, budgetMs: number): BlockFailure {
  const detail =
    `${call.label}: got no complete answer within ${Math.round(budgetMs)} ms, expected one before the step's time is up; ` +
    'raise the timeout of the step, or look at why the server is slow';
  return call.isRepeatable ? retryable('BLW_HTTP_TIMEOUT', detail) : notRetryable('BLW_HTTP_TIMEOUT', detail);
}

/** A lost answer of a call that is not repeatable must not be sent again: it may have taken effect. */
function withoutRetry(error: unknown): unknown {
  if (!(error instanceof BlockFailure) || error.data.code !== 'BLW_HTTP_OUTCOME_UNKNOWN') return error;
  return notRetryable('BLW_HTTP_OUTCOME_UNKNOWN', error.message, { cause: error.cause });
}
