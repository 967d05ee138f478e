import { resolve } from 'node:path';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { startTemporalServer } from '../../temporal-dev/server';
import { type DryRunReport, isDryRunReport } from '../dsl/dry-run/report';
import { formatDuration } from '../dsl/durations';
import { FlowError, type FlowErrorData } from '../dsl/errors';
import { parseWorkerConfig } from '../worker/config';
import { createLogger } from '../worker/logger';
import { mergeOptions } from '../worker/options';
import { newWorkerId } from '../worker/run-worker';
import { installRuntime } from '../worker/runtime';
import type { Cli } from './cli';
import { ownTarget } from './embedded-temporal';
import { outcomeOfFailure } from './flow-outcome';
import { ReleaseStack } from './release-stack';
import { makeScratchFolder } from './scratch-folder';
import { type FlowStart, newWorkflowId, type SentStart, startFlow } from './start-flow';
import type { StopRequest } from './stop-request';
import { withTemporal } from './temporal-session';
import { startWorkerFor, stopOrGiveUp } from './worker-life';

const QUEUE_PREFIX = 'beamline';
const STOP_LIMIT_MS = 5_000;

/** A dry run that had not ended in time. What it came to is not known. */
export class NotEnded extends Error {
  override readonly name = 'NotEnded';

  constructor(readonly timeoutMs: number) {
    super(`it has not ended within ${formatDuration(timeoutMs)}`);
  }
}

/** What the worker of the sandbox knows beside the flow. */
export interface SandboxSettings {
  /** Folder of the flows and functions that flows refer to. */
  readonly catalog?: string | undefined;
  /** File with the tenants: what they may do, and how much. */
  readonly policy?: string | undefined;
}

/** Dry runs, each on its own; may be called side by side. */
export interface Sandbox {
  /**
   * Tries a flow, `namespace/name:version` by name, and returns its report. Throws what the worker says of a start that cannot be
   * (BLW_START_INVALID, BLW_FLOW_INVALID, …), {@link NotEnded} where it has not ended in time, and Stopped where a stop is wanted first.
   */
  run(start: SentStart, name: string, limits?: { timeoutMs?: number }): Promise<DryRunReport>;
}

/**
 * Starts a Temporal server and a worker of the sandbox, for this process alone, and calls `work` with them; afterwards nothing is left of them.
 * What the user's own workers are set to, in variables or files, has no part in it.
 */
export async function withSandbox<T>(
  settings: SandboxSettings,
  { cli, stop }: { cli: Cli; stop: StopRequest },
  work: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const releases = new ReleaseStack((error) => cli.err.line(`could not be stopped cleanly: ${String(error)}`));
  try {
    const folder = await makeScratchFolder('sandbox', releases);
    const server = await stop.interrupting(startTemporalServer({ headless: true, log: (line) => cli.err.line(line) }));
    releases.add(() => server.stop());
    const target = ownTarget(server);
    const config = configOf(settings, folder, cli);
    const logger = createLogger(config, 'sandbox');
    await installRuntime(logger);
    const worker = await stop.interrupting(startWorkerFor({ config, target, logger, workerId: newWorkerId() }));
    releases.add(() => stopOrGiveUp(worker, STOP_LIMIT_MS));
    return await withTemporal({ ...target, blobRoot: config.blobRoot }, ({ client }) =>
      work({
        run: async (input, flow, { timeoutMs } = {}) => {
          stop.signal.throwIfAborted();
          const start = { input, flow, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
          return await stop.interrupting(tryFlow(client, start));
        },
      }),
    );
  } finally {
    await releases.releaseAll();
  }
}

function configOf({ catalog, policy }: SandboxSettings, folder: string, { cwd }: Cli) {
  const flags = {
    pools: 'sandbox',
    'blob-root': 'blobs',
    'log-level': 'error',
    'log-format': 'pretty',
    'shutdown-grace': '1',
    ...(catalog === undefined ? {} : { catalog: resolve(cwd, catalog) }),
    ...(policy === undefined ? {} : { policy: resolve(cwd, policy) }),
  };
  return parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
}

async function tryFlow(client: Client, start: Pick<FlowStart, 'input' | 'flow' | 'timeoutMs'>): Promise<DryRunReport> {
  const ids = { workflowId: newWorkflowId(start.flow), queuePrefix: QUEUE_PREFIX };
  const { workflowId, runId } = await startFlow(client, { ...start, ...ids });
  const report = await client.workflow
    .getHandle(workflowId, runId)
    .result()
    .catch((error: unknown) => rethrowAsFlowError(error, start));
  if (isDryRunReport(report)) return report;
  throw new Error('the flow gave no report of a dry run');
}

function rethrowAsFlowError(error: unknown, { timeoutMs = 0 }: Pick<FlowStart, 'timeoutMs'>): never {
  if (!(error instanceof WorkflowFailedError)) throw error;
  const outcome = outcomeOfFailure(error.cause ?? error);
  if (outcome.status === 'TimedOut') throw new NotEnded(timeoutMs);
  if (outcome.status === 'Completed') throw error;
  throw new FlowError(outcome.error as unknown as FlowErrorData, { cause: error });
}
