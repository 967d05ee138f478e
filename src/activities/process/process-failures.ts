import { type BlockFailure, retryable } from '../block-failure';
import type { ProcessExit } from './block-process';
import { isMemoryLikely } from './exit-reason';
import { MEMORY_LIMIT_MARK } from './protocol';

/** The failure of a block that was still running, or waiting for a process, when its time was up. */
export function deadlineFailure(blockType: string, what: string): BlockFailure {
  const code = blockType.startsWith('sql.') ? 'BLW_SQL_TIMEOUT' : 'BLW_STEP_TIMEOUT';
  return retryable(code, `${blockType}: ${what} when the time of the step was up; raise the timeout of the step`);
}

/** The failure of a block whose process ended under it. */
export function crashFailure(
  blockType: string,
  exit: ProcessExit,
  {
    memoryMb,
    isTenants,
  }: { readonly memoryMb: number /** It is the tenant's limit, not the worker's. */; readonly isTenants: boolean },
): BlockFailure {
  const limit = isTenants ? "the tenant's quota memoryMb" : '--max-memory-mb';
  const { code, signal } = exit;
  const memory = isMemoryLikely(exit);
  const parts = [
    `${blockType}: the process that ran the block ended ${describeEnd(exit)}`,
    memory ? `memory is the likely cause: raise ${limit} (now ${memoryMb}) or give the step less to do` : '',
    tellingLine(exit.stderr),
  ];
  return retryable('BLW_BLOCK_CRASHED', parts.filter((part) => part !== '').join('; '), {
    data: { exitCode: code, signal, memory },
  });
}

/** The failure of a block that a pool is asked to run while it closes. */
export function closedFailure(blockType: string): BlockFailure {
  return retryable('BLW_BLOCK_CRASHED', `${blockType}: the worker stops; another worker or the next attempt runs it`);
}

function describeEnd({ code, signal }: ProcessExit): string {
  if (signal !== null) return `by signal ${signal}`;
  return code === null ? 'before it began' : `with exit code ${code}`;
}

/** The line of the standard error that says most, cut to what fits a message. */
function tellingLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const telling = lines.find((line) => line.includes(MEMORY_LIMIT_MARK) || /FATAL ERROR|^\w*Error\b/.test(line));
  return (telling ?? lines.findLast((line) => line !== '') ?? '').slice(0, 300);
}
