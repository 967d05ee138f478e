/**
 * `npm run bench:encryption`: what encrypted payloads cost. The same flows on one worker, for a tenant with a key and for one
 * without; runs alternate. And the time of the codec alone, by the size of a payload.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { startWorker } = require('./dist/src/worker/run-worker.js');
const { parseWorkerConfig } = require('./dist/src/worker/config.js');
const { mergeOptions } = require('./dist/src/worker/options.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');
const { readKeyRing } = require('./dist/src/worker/encryption-keys.js');
const { EncryptionCodec } = require('./dist/src/activities/payloads/encryption-codec.js');

const FLOWS = 100;
const STEPS = 20;
const REPEATS = 5;
const SIZES = { '300 B': 300, '10 KiB': 10_240, '256 KiB': 262_144, '10 MiB': 10_485_760 };

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = [];
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
releases.push(async () => rmSync(folder, { recursive: true, force: true }));
const keyFile = join(folder, 'keys.yaml');
writeFileSync(keyFile, `sealed: [{ id: k1, key: "${randomBytes(32).toString('base64')}" }]\n`);
try {
  const codec = await measureCodec();
  const { rates, historyBytes } = await measureFlows();
  print(codec, rates, historyBytes);
} finally {
  for (const release of releases.reverse()) await release();
}

async function measureCodec() {
  const codec = new EncryptionCodec({
    keys: readKeyRing(keyFile, {}),
    namespace: 'default',
    role: 'client',
    tenant: 'sealed',
  });
  const context = { type: 'workflow', namespace: 'default', workflowId: 'order-4711' };
  const rows = {};
  for (const [name, size] of Object.entries(SIZES)) {
    const payload = { metadata: { encoding: Buffer.from('json/plain') }, data: randomBytes(size) };
    const rounds = Math.max(5, Math.min(20_000, Math.round(3e8 / size)));
    const [sealed] = await codec.encode([payload], context);
    const encode = await perRound(rounds, () => codec.encode([payload], context));
    const decode = await perRound(rounds, () => codec.decode([sealed], context));
    rows[name] = { 'encode, µs': encode, 'decode, µs': decode };
  }
  return rows;
}

async function perRound(rounds, work) {
  for (let round = 0; round < rounds / 10; round += 1) await work();
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round += 1) await work();
  return Math.round(((performance.now() - startedAt) * 1000) / rounds);
}

async function measureFlows() {
  const service = createServer((_, response) => response.end('{"ok":true}'));
  service.listen(0, '127.0.0.1');
  await new Promise((resolve) => service.once('listening', resolve));
  releases.push(async () => service.close());
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const flags = { 'blob-root': join(folder, 'blobs'), 'allow-host': ['127.0.0.1'], 'encryption-keys': keyFile };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const worker = await startWorker({ config, target: server, logger: { log() {} }, workerId: 'bench' });
  releases.push(() => worker.stop());
  const url = `http://127.0.0.1:${service.address().port}/`;
  const sides = {};
  for (const tenant of ['open', 'sealed']) {
    const { address, namespace } = server;
    const { client, close } = await connectClient({ address, namespace, keys: readKeyRing(keyFile, {}), tenant });
    releases.push(close);
    sides[tenant] = { client, tenant };
  }
  const rates = { open: [], sealed: [] };
  const historyBytes = {};
  for (const name of Object.keys(sides)) historyBytes[name] = (await runFlows(sides[name], url, 'warm')).historyBytes;
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    for (const name of repeat % 2 === 0 ? ['open', 'sealed'] : ['sealed', 'open']) {
      rates[name].push((await runFlows(sides[name], url, repeat)).rate);
    }
  }
  return { rates, historyBytes };
}

async function runFlows({ client, tenant }, url, repeat) {
  const flow = {
    document: { dsl: '1.0.3', namespace: 'bench', name: 'sequential', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: Array.from({ length: STEPS }, (_, index) => ({
      [`step${index}`]: { call: 'http', with: { method: 'get', endpoint: url } },
    })),
  };
  const startedAt = performance.now();
  const ids = Array.from({ length: FLOWS }, (_, index) => `${tenant}-${repeat}-${index}`);
  await Promise.all(
    ids.map((workflowId) =>
      client.workflow.execute('runFlow', { taskQueue: 'beamline-io', workflowId, args: [{ flow, tenant }] }),
    ),
  );
  const rate = (FLOWS * STEPS) / ((performance.now() - startedAt) / 1000);
  return { rate, historyBytes: (await client.workflow.getHandle(ids[0]).describe()).historySize };
}

function print(codec, rates, historyBytes) {
  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  console.log(`Node ${process.version}, ${cpus().length} cores\n\nthe codec alone, a payload`);
  console.table(codec);
  console.log(`${FLOWS} flows of ${STEPS} sequential HTTP GETs on loopback, ${REPEATS} repeats, order alternated`);
  const row = (name) => ({
    'steps/s (median)': Math.round(median(rates[name])),
    lowest: Math.round(Math.min(...rates[name])),
    highest: Math.round(Math.max(...rates[name])),
    'history, bytes': historyBytes[name],
  });
  console.table({ 'without a key': row('open'), 'with a key': row('sealed') });
  const pairs = rates.open.map((rate, index) => rate / rates.sealed[index]);
  const perStep = (1 / median(rates.sealed) - 1 / median(rates.open)) * 1e6;
  console.log(
    `ratio without / with: ${median(pairs).toFixed(2)} (median of the pairs); ${Math.round(perStep)} µs more a step`,
  );
}
