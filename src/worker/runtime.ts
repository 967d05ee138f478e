import { type LogLevel, type LogMetadata, Runtime, type Logger as SdkLogger } from '@temporalio/worker';
import { freePort } from '../../temporal-dev/ports';
import { stackFrames } from '../activities/stack-frames';
import { messageOf } from '../dsl/errors';
import { APPROVAL, RUN_FLOW, RUN_WINDOW } from '../dsl/names';
import type { LogFields, Logger } from './logger';
import { type CoreMetrics, knownType } from './telemetry/core-metrics';

type Level = Parameters<Logger['log']>[0];

/** The SDK tells the life of its workers and flows as information; ours is told by us, so that is for debugging. */
const LEVELS: Readonly<Record<LogLevel, Level>> = {
  TRACE: 'trace',
  DEBUG: 'trace',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
};

/**
 * Not passed on: failed attempts of steps have a line of our own, with fields that are safe to log; and the queues of cpu and
 * gpu have no workflows by design.
 */
const NOT_PASSED_ON = new Set(['Activity failed', 'No workflows registered, not polling for workflow tasks']);

const LOOPBACK = '127.0.0.1';

/** What the SDK says at the end of each workflow that fails: of ours the log has a line of its own (flow-log.ts). */
const FLOW_FAILED = 'Workflow failed';
const OWN_WORKFLOWS: readonly unknown[] = [RUN_FLOW, RUN_WINDOW, APPROVAL];

/** The core's module that tells of every call that it tries again. Where Temporal is away that is each poll: one line of ours says so. */
const RETRIES = 'temporalio_client::retry';

/** Metadata of the SDK that our log lines carry, and what they call it. All else may hold data of flows. */
const FIELDS: Readonly<Record<string, string>> = {
  sdkComponent: 'sdk_component',
  taskQueue: 'task_queue',
  workflowId: 'flow_id',
  workflow_id: 'flow_id',
  runId: 'run_id',
  run_id: 'run_id',
  target: 'sdk_target',
  task_queue: 'task_queue',
  workflowType: 'workflow_type',
  activityType: 'block_type',
  attempt: 'attempt',
  state: 'state',
};

const TYPES = ['workflowType', 'activityType'];

/** Ports that are tried, one after the other, where another program takes each just before the core does. */
const MAX_PORTS = 5;

/**
 * Makes Temporal's SDK, its native core included, log through ours, and leaves the signals of the process to us. To be
 * called once, before the first connection of a worker; later calls in one process throw. With `metrics` the core serves its own on
 * a free port of the loopback, which is given back: it takes an address only, and tells no port that it chose.
 */
export async function installRuntime(
  logger: Logger,
  { metrics = false }: { metrics?: boolean } = {},
): Promise<CoreMetrics | undefined> {
  const install = (bindAddress?: string) =>
    Runtime.install({
      logger: sdkLogger(logger),
      telemetryOptions: {
        logging: { forward: { level: 'WARN' } },
        ...(bindAddress === undefined ? {} : { metrics: { prometheus: { bindAddress }, attachServiceName: false } }),
      },
      shutdownSignals: [],
    });
  let reason: unknown;
  for (let tries = 0; metrics && tries < MAX_PORTS; tries += 1) {
    const address = `${LOOPBACK}:${await freePort(LOOPBACK)}`;
    try {
      install(address);
      return { url: `http://${address}/metrics` };
    } catch (error) {
      if (!String(error).includes('prometheus')) throw error;
      reason = error;
    }
  }
  if (metrics) logger.log('warn', "the metrics of Temporal's SDK cannot be had", { error: String(reason) });
  install();
  return undefined;
}

/** The SDK's logger that writes through ours. */
export function sdkLogger(logger: Logger): SdkLogger {
  const log = (level: LogLevel, message: string, meta?: LogMetadata) => {
    if (NOT_PASSED_ON.has(message)) return;
    if (message === FLOW_FAILED && OWN_WORKFLOWS.includes(meta?.workflowType)) return;
    const ours = meta?.target === RETRIES ? 'debug' : LEVELS[level];
    // It tells us of several things a step that nobody wants to know, as a rule.
    if (logger.isOn?.(ours) === false) return;
    logger.log(ours, message, { ...fieldsOf(meta ?? {}), ...errorFields(meta ?? {}), ...causeOf(meta ?? {}) });
  };
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}

function fieldsOf(meta: LogMetadata): LogFields {
  const fields: LogFields = {};
  for (const [key, name] of Object.entries(FIELDS)) {
    const value: unknown = meta[key];
    if (typeof value === 'string') fields[name] = TYPES.includes(key) ? knownType(value) : value;
    else if (typeof value === 'number' || typeof value === 'boolean') fields[name] = value;
  }
  return fields;
}

/** The error of something that a flow does may quote its data: of that only the code is logged, and the place where it was thrown. */
function errorFields({ error, workflowId, workflowType, activityType }: LogMetadata): LogFields {
  if (error === undefined) return {};
  const text = messageOf(error);
  if (workflowId === undefined && workflowType === undefined && activityType === undefined) return { error: text };
  const code = /\[(BLW_[A-Z_]+)\]/.exec(text)?.[1];
  if (code !== undefined || !(error instanceof Error)) return { error_code: code };
  return { error_name: error.name, stack: stackFrames(error) };
}

/** Of a workflow task that failed the core tells all, data of the flow included; only the kind of it is logged. */
function causeOf({ failure }: LogMetadata): LogFields {
  return typeof failure === 'string' ? { cause: /\bforce_cause: (\w+)/.exec(failure)?.[1] } : {};
}
