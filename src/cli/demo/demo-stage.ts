import { join } from 'node:path';
import { startTemporalServer, type TemporalServer } from '../../../temporal-dev/server';
import { parseWorkerConfig } from '../../worker/config';
import { createLogger } from '../../worker/logger';
import { mergeOptions } from '../../worker/options';
import { newWorkerId } from '../../worker/run-worker';
import { installRuntime } from '../../worker/runtime';
import type { RunningWorker } from '../../worker/serve-pools';
import type { Cli } from '../cli';
import { ownTarget } from '../embedded-temporal';
import { LOOPBACK_HOSTS } from '../loopback-hosts';
import type { ReleaseStack } from '../release-stack';
import { makeScratchFolder } from '../scratch-folder';
import type { StopRequest } from '../stop-request';
import { startWorkerFor, stopOrGiveUp } from '../worker-life';
import { type OrderService, startOrderService } from './order-service';

const STOP_LIMIT_MS = 8_000;
const BLOB_FOLDER = 'blobs';

/** Everything that the example needs. */
export interface DemoStage {
  /** Holds blobs, databases and files of the demo; removed at the end. */
  readonly folder: string;
  readonly blobRoot: string;
  readonly server: TemporalServer;
  readonly worker: RunningWorker;
  readonly orders: OrderService;
}

/** Sets everything up, in a folder and on ports of its own; whatever is started is put on the stack at once. */
export async function setStage(context: { cli: Cli; stop: StopRequest; releases: ReleaseStack }): Promise<DemoStage> {
  const { cli, stop, releases } = context;
  const folder = await makeScratchFolder('demo', releases);
  const orders = await startOrderService();
  releases.add(() => orders.close());
  const server = await stop.interrupting(startTemporalServer({ log: (line) => cli.err.line(line) }));
  releases.add(() => server.stop());
  const worker = await stop.interrupting(startDemoWorker(folder, server));
  releases.add(() => stopOrGiveUp(worker, STOP_LIMIT_MS));
  return { folder, blobRoot: join(folder, BLOB_FOLDER), server, worker, orders };
}

async function startDemoWorker(folder: string, server: TemporalServer): Promise<RunningWorker> {
  const flags = {
    'blob-root': BLOB_FOLDER,
    database: ['orders=sqlite:orders.db'],
    'allow-host': LOOPBACK_HOSTS,
    'log-level': 'error',
    'log-format': 'pretty',
    'shutdown-grace': '3',
  };
  // Settings of the user's own workers are none of the demo's.
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const logger = createLogger(config, 'demo');
  await installRuntime(logger);
  return startWorkerFor({ config, target: ownTarget(server), logger, workerId: newWorkerId() });
}
