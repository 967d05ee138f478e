/** A worker in a process of its own, so that its memory can be told: `worker.mjs TARGET FLAGS`, both JSON. */
import { createRequire } from 'node:module';
import { BroadcastChannel } from 'node:worker_threads';

const require = createRequire(new URL('../../package.json', import.meta.url));
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { startWorker } = require('./dist/src/worker/run-worker.js');
const { parseWorkerConfig } = require('./dist/src/worker/config.js');
const { mergeOptions } = require('./dist/src/worker/options.js');

const [target, flags] = process.argv.slice(2).map((text) => JSON.parse(text));
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });

let workflowHeapPeak = 0;
const heaps = new BroadcastChannel('beamline-bench-heap');
heaps.onmessage = ({ data }) => {
  workflowHeapPeak = Math.max(workflowHeapPeak, data);
};

const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), flags['blob-root']);
const worker = await startWorker({ config, target, logger: { log() {} }, workerId: 'bench-size' });
const cpuBefore = process.cpuUsage();
// The benchmark was stopped, or is done with this worker.
process.once('disconnect', () => process.exit());
process.send('ready');
process.once('message', async () => {
  const { user, system } = process.cpuUsage(cpuBefore);
  await worker.stop();
  heaps.close();
  // maxRSS is in KiB; it is the peak of the whole process, the workflow thread included.
  process.send(
    { rssPeak: process.resourceUsage().maxRSS * 1_024, workflowHeapPeak, cpuMs: (user + system) / 1_000 },
    () => process.disconnect(),
  );
});
