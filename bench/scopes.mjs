/**
 * `npm run bench:scopes`: what the checks of a step cost, without Temporal: whose a step is (its grant), what the tenant may do
 * (stepAccess), and the scopes that the ports ask for; with a policy of 1,000 tenants, whose steps come in turn. Beside it, in the same
 * run, a GET on loopback through the worker's own client, which is the least that a step with a call does. Also what reading such a
 * policy takes. All in CPU time. With --json the last line is one JSON object.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { createHttpClients } = require('./dist/src/activities/ports/http-clients.js');
const { ScopedPorts, scopeSecrets } = require('./dist/src/activities/access/scoped-ports.js');
const { parsePolicy } = require('./dist/src/worker/policy/parse-policy.js');
const { stepAccess } = require('./dist/src/worker/policy/step-access.js');
const { stepIdentity } = require('./dist/src/worker/identity/step-identity.js');
const { generateAuthKey, readAuthKeys } = require('./dist/src/worker/identity/auth-key.js');
const { Grants } = require('./dist/src/worker/identity/grants.js');
const { TokenGate } = require('./dist/src/worker/identity/token-gate.js');

const TENANTS = 1_000;
const STEPS = 20_000;
const CALLS = 2_000;
const REPEATS = Number(process.env.REPEATS ?? 7);
const NAMESPACE = 'default';

const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
const service = createServer((_, response) => response.end('{"ok":true}'));
// The checks leave the event loop no time, so that a connection would be too old by the server's clock.
service.keepAliveTimeout = 0;
service.listen(0, '127.0.0.1');
await once(service, 'listening');
const http = createHttpClients({ allowHosts: ['127.0.0.1'] });
try {
  await main();
} finally {
  await http.close();
  service.close();
  rmSync(folder, { recursive: true, force: true });
}

async function main() {
  const text = policyText();
  const reading = [];
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    reading.push(await cpuTime(async () => void parsePolicy(Buffer.from(text), folder)));
  }
  const { policy, problems } = parsePolicy(Buffer.from(text), folder);
  if (policy === undefined) throw new Error(JSON.stringify(problems[0]));
  const source = { current: () => policy, close: async () => undefined };
  const steps = await makeSteps();
  const kinds = checksOf(source, await gateOf(source));
  const url = new URL(`http://127.0.0.1:${service.address().port}/`);
  const times = Object.fromEntries([...Object.keys(kinds), 'GET'].map((kind) => [kind, []]));
  const get = () => http.reaching([]).send(requestTo(url));
  // In turn, so that whatever else the machine does falls on all of them.
  for (let repeat = -1; repeat < REPEATS; repeat += 1) {
    for (const [kind, check] of Object.entries(kinds)) {
      const ms = await cpuTime(async () => {
        for (let index = 0; index < STEPS; index += 1) await check(steps[index % steps.length]);
      });
      if (repeat >= 0) times[kind].push((ms / STEPS) * 1_000);
    }
    const ms = await cpuTime(async () => {
      for (let index = 0; index < CALLS; index += 1) await drain(await get());
    });
    if (repeat >= 0) times.GET.push((ms / CALLS) * 1_000);
  }
  report(text, reading, times);
}

function report(text, reading, times) {
  const bare = median(times.nothing);
  const call = median(times.GET);
  const table = {};
  for (const [kind, values] of Object.entries(times)) {
    if (kind === 'nothing' || kind === 'GET') continue;
    const cost = median(values) - bare;
    table[kind] = { 'µs a step': round(cost, 1), 'of a GET on loopback': `${round((cost / call) * 100, 2)} %` };
  }
  console.log(
    `\nchecks of a step, ${TENANTS} tenants; a GET on loopback takes ${Math.round(call)} µs, server and all; CPU time`,
  );
  console.table(table);
  const policy = { KiB: Math.round(text.length / 1_024), 'CPU ms, first': round(reading[0], 0) };
  policy['CPU ms, again'] = round(median(reading.slice(1)), 0);
  console.log(`\nreading a policy of ${TENANTS} tenants`);
  console.table([policy]);
  if (process.argv.includes('--json')) console.log(JSON.stringify({ checks: table, getUs: call, policy }));
}

/** What is around a step; `nothing` is the same without a check. */
function checksOf(source, gate) {
  const world = {
    http: {
      reaching: () => ({ send: async () => undefined, close: async () => undefined }),
      close: async () => undefined,
    },
    blobs: { stat: async () => undefined },
    databases: { get: () => ({ kind: 'sqlite', execute: async () => undefined }), close: async () => undefined },
  };
  const ports = new ScopedPorts(world);
  const secrets = { get: async () => 'x' };
  const access = stepAccess(source, 'io');
  const identity = stepIdentity(gate);
  const none = (step, next) => next(step);
  const narrow = (step, next) => next({ ...step, tokenScopes: step.narrowed });
  const run = (layers, use) => {
    const chain = layers.reduceRight((next, layer) => (step) => layer(step, (known = step) => next(known)), use);
    return (step) => chain(step);
  };
  const open = ports.of(undefined);
  const url = (step) => new URL(step.url);
  const send = (client, step) => client.send({ method: 'GET', url: url(step) });
  return {
    nothing: run([none], (step) => send(open.http, step)),
    'block and resource class': run([access], (step) => send(open.http, step)),
    'and the host of a request': run([access], (step) => send(ports.of(step.access).http, step)),
    'and the path of a blob': run([access], async (step) => {
      url(step);
      await ports.of(step.access).blobs.stat(step.tenant, 'orders/1.json');
    }),
    'and a database, to write': run([access], async (step) => {
      url(step);
      await ports.of(step.access).databases.get('shop', step.tenant).execute();
    }),
    'and a secret': run([access], async (step) => {
      url(step);
      await scopeSecrets(secrets, step.access).get('key', step.tenant);
    }),
    'host of a request, scopes of a token': run([narrow, access], (step) => send(ports.of(step.access).http, step)),
    'grant, block, class, host': run([identity, access], (step) => send(ports.of(step.access).http, step)),
  };
}

async function makeSteps() {
  const { privateSet } = await generateAuthKey();
  writeFileSync(join(folder, 'auth-key.json'), JSON.stringify(privateSet), { mode: 0o600 });
  const grants = new Grants(await readAuthKeys(join(folder, 'auth-key.json')), NAMESPACE);
  return Array.from({ length: TENANTS }, (_, index) => {
    const tenant = `tenant-${index}`;
    const [flowId, runId] = [`flow-${index}`, `0198a5b2-0000-7000-8000-${String(index).padStart(12, '0')}`];
    const grant = grants.issue({ kind: 'run', id: flowId, run: runId, tenant, sub: 'alice' });
    const url = `https://api-${index}.example.com/orders/1`;
    return { tenant, flowId, runId, grant, blockType: 'http.request', url, narrowed: scopesOf(index) };
  });
}

async function gateOf(policy) {
  const keys = await readAuthKeys(join(folder, 'auth-key.json'));
  const findFirstRun = async () => undefined;
  return new TokenGate({ keys, namespace: NAMESPACE, policy, findFirstRun, warn: console.error });
}

function scopesOf(index) {
  return [
    ...['flow:start', 'block:*', 'resources:io', `http:GET:api-${index}.example.com`],
    ...['blob:read:*', 'blob:write:out/*', 'sql:write:shop', 'secret:key', 'approval:*'],
  ];
}

function policyText() {
  const tenants = Array.from({ length: TENANTS }, (_, index) => {
    const scopes = scopesOf(index).map((scope) => `      - '${scope}'\n`);
    return `  tenant-${index}:\n    scopes:\n${scopes.join('')}    quotas: { concurrentSteps: 10, flows: 100 }\n    fairnessWeight: 1\n`;
  });
  return `version: 1\ntenants:\n${tenants.join('')}`;
}

function requestTo(url) {
  return { method: 'GET', url, headers: {}, signal: new AbortController().signal, followRedirects: true };
}

async function drain({ body }) {
  for await (const _ of body ?? []);
}

/** CPU time of this process, which other work on the machine does not add to. */
async function cpuTime(work) {
  const began = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1_000;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
