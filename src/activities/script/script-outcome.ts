import type { Json } from '../../dsl/json';
import { type BlockFailure, notRetryable, retryable } from '../block-failure';
import { deadlineFailure } from '../process/process-failures';
import { type ScriptEnd, type ScriptError, type ScriptLimits, type ScriptStreams, tailOf } from './child/protocol';
import { parseBounded } from './script-answer';
import { MAX_STREAM_BYTES, MAX_VALUE_BYTES, type ScriptRequest } from './script-job';
import type { EndReason, ProcessEnd } from './script-process';

/** What a step puts out where its script ended like this. Throws where it failed: what a script does, it does again, so none is retried. */
export function outcomeOfScript(end: ScriptEnd, request: ScriptRequest): Json {
  switch (end.kind) {
    case 'returned':
      return returnedValue(end.value);
    case 'exited':
      return processOutput(end, request);
    case 'threw':
      throw thrown(end.error, end);
    case 'syntax':
      throw notRetryable('BLW_SCRIPT_SYNTAX', `script.run: the script does not compile: ${described(end.error)}`, {
        data: dataOf(end.error),
      });
    case 'unsettled':
      throw notRetryable(
        'BLW_SCRIPT_FAILED',
        'script.run: the script awaits what never comes: it has no timers, no network and nobody who calls it back',
        printedBy(end),
      );
    case 'memory':
      throw memoryFailure(request.job.limits, end);
    case 'cpu':
      throw cpuFailure(request.job.limits, end);
    case 'output':
      throw tooLarge(end.of, end);
  }
}

/** The failure of a script whose process gave no answer that counts. */
export function failureOfProcess(
  process: Omit<ProcessEnd, 'ended'> & { ended?: Exclude<EndReason, 'cancelled' | 'stopped'> | undefined },
  limits: ScriptLimits,
): BlockFailure {
  switch (process.ended) {
    case 'cpu':
      return cpuFailure(limits);
    case 'wall':
      return retryable(
        'BLW_STEP_TIMEOUT',
        'script.run: the script got too little CPU time on a machine that is busy; give it fewer steps at a time',
      );
    case 'deadline':
      return deadlineFailure('script.run', 'the script was stopped');
    case 'flood':
      return tooLarge('result');
    case 'unready':
      return unreadyFailure(process.stderr);
    case undefined:
      return endedFailure(process, limits);
  }
}

function endedFailure({ code, signal, stderr }: Omit<ProcessEnd, 'ended'>, limits: ScriptLimits): BlockFailure {
  if (/out of memory|bad_alloc|allocation failed/i.test(stderr)) return memoryFailure(limits);
  if (signal === 'SIGXCPU') return cpuFailure(limits);
  return retryable('BLW_BLOCK_CRASHED', `script.run: the process that ran the script ${endOf(code, signal)}`, {
    data: { exitCode: code, signal, memory: signal === 'SIGKILL' },
  });
}

/** Whatever the reason, it is not the script: that has not begun. */
function unreadyFailure(stderr: string): BlockFailure {
  const [reason] = /\bE[A-Z]{3,}\b/.exec(stderr) ?? [];
  return retryable(
    'BLW_BLOCK_CRASHED',
    `script.run: the process for the script did not start${reason === undefined ? '' : ` (${reason})`}; the script has not begun`,
  );
}

function endOf(code: number | null, signal: string | null): string {
  if (signal !== null) return `ended by signal ${signal}`;
  return code === null ? 'gave an answer that is none' : `ended with exit code ${code}`;
}

function returnedValue(text: string): Json {
  const value = parseBounded(Buffer.from(text));
  if (value === undefined) {
    throw notRetryable(
      'BLW_SCRIPT_OUTPUT',
      'script.run: the result is nested too deeply, or has too many parts; return a flat value',
    );
  }
  return value as Json;
}

/** OWS dsl-reference, "Run" and "Process Result". Who asks for the exit code judges it; else only 0 is well. */
function processOutput(end: Extract<ScriptEnd, { kind: 'exited' }>, request: ScriptRequest): Json {
  const { code, stdout, stderr } = end;
  const kind = request.return ?? 'stdout';
  switch (kind) {
    case 'code':
      return code;
    case 'all':
      return { code, stdout, stderr };
    case 'stderr':
      return succeeded(end) && stderr;
    case 'none':
      return succeeded(end) && null;
    case 'stdout':
      return succeeded(end) && stdout;
  }
}

function succeeded({ code, stdout, stderr, error }: Extract<ScriptEnd, { kind: 'exited' }>): true {
  if (code === 0) return true;
  if (error !== undefined) throw thrown(error, { stdout: tailOf(stdout), stderr: tailOf(stderr) });
  const last = stderr.trim().split('\n', 1)[0] ?? '';
  throw notRetryable(
    'BLW_SCRIPT_FAILED',
    `script.run: the script ended with exit code ${code}${last === '' ? '' : `: ${last.slice(0, 300)}`}`,
    { data: { code, stdout: tailOf(stdout), stderr: tailOf(stderr) } },
  );
}

function thrown(error: ScriptError, { stdout, stderr }: ScriptStreams): BlockFailure {
  return notRetryable('BLW_SCRIPT_FAILED', `script.run: the script threw ${described(error)}`, {
    data: {
      ...dataOf(error),
      ...printed({ stdout, stderr }),
    },
  });
}

function printed({ stdout = '', stderr = '' }: Partial<ScriptStreams>): { [key: string]: Json } {
  return { ...(stdout === '' ? {} : { stdout }), ...(stderr === '' ? {} : { stderr }) };
}

/** The data of an error that has no other: what the script printed, if it did. */
function printedBy(streams: Partial<ScriptStreams>): { data?: { [key: string]: Json } } {
  const data = printed(streams);
  return Object.keys(data).length === 0 ? {} : { data };
}

function described({ name, message, line }: ScriptError): string {
  const what = [name, message].filter((part) => part !== '').join(': ') || 'something without a message';
  return line === undefined ? what : `${what} (line ${line})`;
}

function dataOf({ name, message, line }: ScriptError): { [key: string]: Json } {
  return { ...(name === '' ? {} : { name }), message, ...(line === undefined ? {} : { line }) };
}

function memoryFailure({ memoryMb }: ScriptLimits, streams: Partial<ScriptStreams> = {}): BlockFailure {
  return notRetryable(
    'BLW_SCRIPT_MEMORY',
    `script.run: the script needs more memory than it may have, ${memoryMb} MiB`,
    printedBy(streams),
  );
}

function cpuFailure({ cpuMs }: ScriptLimits, streams: Partial<ScriptStreams> = {}): BlockFailure {
  return notRetryable(
    'BLW_SCRIPT_TIMEOUT',
    `script.run: the script was stopped after ${cpuMs} ms of CPU time; raise its timeout or give it less to do`,
    printedBy(streams),
  );
}

function tooLarge(what: 'result' | 'stdout' | 'stderr', streams: Partial<ScriptStreams> = {}): BlockFailure {
  const most = what === 'result' ? `${MAX_VALUE_BYTES} bytes of JSON` : `${MAX_STREAM_BYTES} bytes`;
  return notRetryable(
    'BLW_SCRIPT_OUTPUT',
    `script.run: the script's ${what} has more than ${most}`,
    printedBy(streams),
  );
}
