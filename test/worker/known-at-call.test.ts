import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncLocalStorage, Context } from '@temporalio/activity';
import type { NativeConnection } from '@temporalio/worker';
import { knowAtCallOnly } from '../../src/worker/known-at-call';
import { connectClient } from '../../src/worker/temporal-connection';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { flowOf } from '../helpers/test-worker';
import { WorkerProcesses } from '../helpers/worker-process';

/** As its process exits, the main thread says in a file what Node notes on a promise: nothing, where nobody follows it. */
const REPORT = `
const { isMainThread } = require('node:worker_threads');
const { writeFileSync } = require('node:fs');
if (isMainThread && process.argv.includes('worker'))
  process.on('exit', () => writeFileSync(process.env.REPORT_FILE, JSON.stringify(Object.getOwnPropertySymbols(Promise.resolve()).map(String))));
`;

const FLOW = `
do:
  - reads:
      fork:
        branches:
          - one: { call: http, with: { method: get, endpoint: URL }, metadata: { dispatch: local } }
          - other: { call: http, with: { method: get, endpoint: URL } }
  - keep: { call: fs.put, with: { path: a.txt, content: kept } }
  - ask: { call: sql.query, with: { database: test, statement: SELECT 1 AS one } }
  - again: { call: http, with: { method: get, endpoint: URL } }
`;

describe('a worker', () => {
  const workers = new WorkerProcesses();
  const servers = new LoopbackServers();
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));

  afterAll(async () => {
    await workers.killAll();
    await servers.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('runs steps without having Node follow its promises', async () => {
    const [preload, report] = [join(folder, 'report.cjs'), join(folder, 'report.json')];
    writeFileSync(preload, REPORT);
    const { origin } = await servers.http((_, response) => {
      response.setHeader('content-type', 'application/json').end('{"ok":true}');
    });
    const prefix = `test-${randomUUID()}`;
    const data = ['--blob-root', join(folder, 'blobs'), '--database', `test=sqlite:${join(folder, 'test.db')}`];
    const worker = await workers.start(['--queue-prefix', prefix, '--allow-host', '127.0.0.1', ...data], {
      ...process.env,
      NODE_OPTIONS: `--require ${preload}`,
      REPORT_FILE: report,
    });
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(FLOW.replaceAll('URL', origin));
      const start = { taskQueue: `${prefix}-io`, workflowId: `flow-${prefix}`, args: [{ flow, input: null }] };
      expect(await client.workflow.execute('runFlow', start)).toEqual({ ok: true });
    } finally {
      await close();
    }
    worker.kill('SIGTERM');
    await once(worker, 'exit');
    expect(JSON.parse(readFileSync(report, 'utf8'))).toEqual([]);
  }, 60_000);
});

describe('what the SDK knows of what runs', () => {
  const requests = new AsyncLocalStorage<object>();
  const contextOf = (name: string) => ({ info: { activityId: name } }) as unknown as Context;
  const current = () => Context.current().info.activityId;

  beforeAll(() => knowAtCallOnly({ callContextStorage: requests } as unknown as NativeConnection));

  test('is known to what is called, within other calls and after them, whether they fail or not', () => {
    const seen = asyncLocalStorage.run(contextOf('outer'), () => {
      const inner = asyncLocalStorage.run(contextOf('inner'), current);
      const fail = () =>
        asyncLocalStorage.run(contextOf('failing'), () => {
          throw new Error(current());
        });
      expect(fail).toThrow('failing');
      return [inner, current()];
    });
    expect(seen).toEqual(['inner', 'outer']);
    expect(current).toThrow('Activity context not initialized');
  });

  test('is unknown after a wait, and never that of another', async () => {
    const after = asyncLocalStorage.run(contextOf('one'), async () => {
      await Promise.resolve();
      return current();
    });
    const other = asyncLocalStorage.run(contextOf('other'), async () => current());
    await expect(after).rejects.toThrow('Activity context not initialized');
    expect(await other).toBe('other');
  });

  test('of requests is their deadline', () => {
    expect(requests.run({ deadline: 1 }, () => requests.getStore())).toEqual({ deadline: 1 });
    expect(requests.getStore()).toBeUndefined();
  });
});
