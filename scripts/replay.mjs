/**
 * `npm run replay` replays every stored history (test/replay/histories) on the workflows as they are now.
 * `npm run replay -- --record` runs the flows of test/replay/flows that have no history of this version yet, on the embedded
 * server, and stores their histories. Histories are kept for good: they are what earlier releases left in the world.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FLOWS = join(ROOT, 'test', 'replay', 'flows');
/** Flows that those run by their names. */
const CATALOG = join(ROOT, 'test', 'replay', 'catalog');
const HISTORIES = join(ROOT, 'test', 'replay', 'histories');
const require = createRequire(join(ROOT, 'package.json'));
const { version } = require('./package.json');

const { Runtime, DefaultLogger } = require('@temporalio/worker');
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });

if (process.argv.includes('--record')) await recordMissing();
else await replayAll();

async function replayAll() {
  const { replayHistories } = require('./dist/src/worker/replay.js');
  let failed = 0;
  for await (const { name, error } of replayHistories(HISTORIES)) {
    if (error !== undefined) failed += 1;
    console.log(error === undefined ? `ok      ${name}` : `FAILED  ${name}\n        ${error.message}`);
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

async function recordMissing() {
  const folder = join(HISTORIES, version);
  const missing = readdirSync(FLOWS).filter((file) => !existsSync(historiesOf(folder, file)));
  if (missing.length === 0) {
    console.log(`every flow has its histories of version ${version}`);
    return;
  }
  mkdirSync(folder, { recursive: true });
  const temporary = mkdtempSync(join(tmpdir(), 'beamline-replay-'));
  try {
    for (const file of missing) await recordOnServer(file, folder, temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Each file on a server of its own: some make it suggest a new history early. */
async function recordOnServer(file, folder, temporary) {
  const { parse } = require('yaml');
  const { startTemporalServer } = require('./dist/temporal-dev/server.js');
  const { dynamicConfig = {} } = parse(readFileSync(join(FLOWS, file), 'utf8'));
  const server = await startTemporalServer({ headless: true, log: console.log, dynamicConfig });
  try {
    await record(file, folder, server.address, temporary);
  } finally {
    await server.stop();
  }
}

function historiesOf(folder, file) {
  return join(folder, `${basename(file, '.yaml')}.json`);
}

/** Records the histories of a file's flow, on a worker with the policy and the environment that the file has, if any. */
async function record(file, folder, address, temporary) {
  const { parse } = require('yaml');
  const { parseWorkerConfig } = require('./dist/src/worker/config.js');
  const { mergeOptions } = require('./dist/src/worker/options.js');
  const { startWorker } = require('./dist/src/worker/run-worker.js');
  const { connectClient } = require('./dist/src/worker/temporal-connection.js');
  const recipe = parse(readFileSync(join(FLOWS, file), 'utf8'));
  const { env = {} } = recipe;
  Object.assign(process.env, env);
  const policy = join(temporary, 'policy.json');
  if (recipe.policy !== undefined) writeFileSync(policy, JSON.stringify(recipe.policy));
  const flags = {
    'blob-root': join(temporary, 'blobs'),
    catalog: CATALOG,
    ...(isDryRun(recipe) ? { pools: 'sandbox' } : {}),
    ...(recipe.policy === undefined ? {} : { policy }),
  };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), temporary);
  const worker = await startWorker({ config, target: { address }, logger: { log() {} }, workerId: 'recorder' });
  const { client, close } = await connectClient({ address, blobRoot: config.blobRoot });
  try {
    const name = basename(file, '.yaml');
    // Several at once, so that they are in each other's way.
    const ids = Array.from({ length: recipe.times ?? 1 }, (_, index) => (index === 0 ? name : `${name}-${index}`));
    const histories = await Promise.all(ids.map((id) => runFlow(client, id, recipe)));
    writeFileSync(historiesOf(folder, file), JSON.stringify(Object.assign({}, ...histories), null, 1));
    console.log(`recorded ${file}`);
  } finally {
    await close();
    await worker.stop();
    for (const name of Object.keys(env)) delete process.env[name];
  }
}

/** Runs a flow to its end and gives its histories: its own, those of all its runs, and those of its approvals. */
async function runFlow(client, workflowId, recipe) {
  const { flow, input, tenant, decide, resolve, dynamicConfig, start = {}, fails = false } = recipe;
  const { historyToJSON } = require('@temporalio/common/lib/proto-utils');
  const handle = await client.workflow.start('runFlow', {
    taskQueue: isDryRun(recipe) ? 'beamline-sandbox' : 'beamline-io',
    workflowId,
    args: [{ flow, input, ...(tenant === undefined ? {} : { tenant }), ...start }],
  });
  const isOver = handle.result().then(
    () => 'completed',
    () => 'failed',
  );
  const approvals = decide === undefined ? [] : await decideAll(client, handle, isOver, decide);
  // Whose server suggests a new history early, is to have one.
  if (resolve !== undefined && dynamicConfig !== undefined) await untilContinued(client, handle);
  if (resolve !== undefined) await resolveAll(client, handle, resolve);
  const outcome = await isOver;
  if ((outcome === 'failed') !== fails) throw new Error(`${workflowId}: the flow ${outcome}`);
  const histories = {};
  for (const id of [workflowId, ...approvals]) {
    histories[id] = JSON.parse(historyToJSON(await client.workflow.getHandle(id).fetchHistory()));
  }
  for (let { firstExecutionRunId: runId } = handle, run = 1; runId !== undefined; run += 1) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    runId = history.events.at(-1).workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    if (runId !== undefined) histories[`${workflowId}, run ${run}`] = JSON.parse(historyToJSON(history));
  }
  return histories;
}

function isDryRun({ start }) {
  return start?.mode === 'dry-run';
}

async function untilContinued(client, { workflowId, firstExecutionRunId }) {
  const current = client.workflow.getHandle(workflowId);
  while ((await current.describe()).runId === firstExecutionRunId) await delay(10);
}

/** Says what becomes of the flow's dead letters, in this order; each as soon as it waits. */
async function resolveAll(client, handle, resolutions) {
  const current = client.workflow.getHandle(handle.workflowId);
  for (const resolution of resolutions) {
    for (;;) {
      const { letters } = await current.query('deadLetters');
      if (letters.some(({ id }) => id === resolution.id)) break;
      await delay(10);
    }
    await current.executeUpdate('resolve', { args: [resolution] });
  }
}

async function decideAll(client, handle, isOver, decide) {
  const ids = new Set();
  let over = false;
  isOver.then(() => {
    over = true;
  });
  while (!over) {
    const { steps } = await handle.query('progress');
    for (const { approval } of steps.filter((step) => step.approval !== undefined && !ids.has(step.approval))) {
      ids.add(approval);
      // The approval that nobody decides ends before an update reaches it, or refuses it: both belong to the histories.
      await client.workflow
        .getHandle(approval)
        .executeUpdate('decide', { args: [decide] })
        .catch(() => undefined);
    }
  }
  return ids;
}
