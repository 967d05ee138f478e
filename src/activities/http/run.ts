import type { ErrorCode } from '../../dsl/error-codes';
import { FlowError, messageOf } from '../../dsl/errors';
import type { BlockContext } from '../block';
import { BlockFailure, retryable } from '../block-failure';
import { outcomeUnknown, withUnknownOutcome } from '../outcome-unknown';
import type { HttpCall } from './call';

/** Longest delay that setTimeout takes; longer ones fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Runs the work of a call under a signal that aborts with the step or shortly before the attempt's deadline, so that
 * the block reports the timeout itself. Decides what may be tried again: once the call is being sent, which `work` says, a lost
 * answer, a timeout and what fails behind them only where the call is repeatable. Throws the step's abort reason, BLW_HTTP_TIMEOUT, or what the work throws.
 */
export async function runCall<T>(
  call: HttpCall,
  context: BlockContext,
  work: (signal: AbortSignal, onSending: () => void) => Promise<T>,
): Promise<T> {
  context.signal.throwIfAborted();
  const budgetMs = attemptBudgetMs(context.deadline - Date.now());
  let isSent = false;
  if (budgetMs <= 0) throw timeoutFailure(call, { budgetMs: 0, isSent });
  // By hand: AbortSignal.any keeps weak references for the garbage collector to follow, for every call.
  const stop = new AbortController();
  const onStop = () => stop.abort(context.signal.reason);
  const onTime = () => stop.abort(timeoutFailure(call, { budgetMs, isSent }));
  context.signal.addEventListener('abort', onStop, { once: true });
  const timer = setTimeout(onTime, Math.min(budgetMs, MAX_TIMER_MS));
  try {
    return await work(stop.signal, () => {
      isSent = true;
    });
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    throw call.isRepeatable || !isSent ? error : withoutRetry(call, error);
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', onStop);
  }
}

/** Leaves 5 % of the time, at least 50 and at most 250 ms, to report the timeout before Temporal counts the attempt as lost. */
function attemptBudgetMs(remainingMs: number): number {
  return remainingMs - Math.min(250, Math.max(50, remainingMs * 0.05));
}

function timeoutFailure(
  call: HttpCall,
  { budgetMs, isSent }: { readonly budgetMs: number; readonly isSent: boolean },
): BlockFailure {
  const what = `${call.label}: got no complete answer within ${Math.round(budgetMs)} ms, expected one before the step's time is up`;
  const advice = 'raise the timeout of the step, or look at why the server is slow';
  if (isSent && !call.isRepeatable) return outcomeUnknown(`${what}; ${advice}`, { code: 'BLW_HTTP_TIMEOUT' });
  return retryable('BLW_HTTP_TIMEOUT', isSent ? `${what}; ${advice}` : `${what}; nothing was sent; ${advice}`);
}

/** Failures that say themselves whether the request may have been carried out. */
const TELLING: ReadonlySet<string | undefined> = new Set<ErrorCode>([
  'BLW_HTTP_UNREACHABLE',
  'BLW_HTTP_STATUS',
  'BLW_AUTH_FAILED',
]);

/**
 * What goes wrong after a call was sent that is not repeatable must not lead to another attempt, nor be taken for proof that nothing was
 * done: the call may have taken effect.
 */
function withoutRetry(call: HttpCall, error: unknown): unknown {
  if (!(error instanceof FlowError)) {
    const reason = messageOf(error);
    return outcomeUnknown(`${call.label}: the answer could not be handled (${reason})`, { cause: error });
  }
  if (TELLING.has(error.data.code)) return error;
  if (!(error instanceof BlockFailure) || !error.options.retryable) return withUnknownOutcome(error);
  return outcomeUnknown(error.message, {
    ...(error.data.code === undefined ? {} : { code: error.data.code }),
    cause: error,
  });
}
