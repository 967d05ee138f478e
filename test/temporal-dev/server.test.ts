import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import Sqlite from 'better-sqlite3';
import { SEARCH_ATTRIBUTES } from '../../temporal-dev/dynamic-config';
import { isServing } from '../../temporal-dev/health-probe';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { freePort } from '../../temporal-dev/ports';
import { startTemporalServer, type TemporalServer, type TemporalServerOptions } from '../../temporal-dev/server';
import { makeFolder, removeFolders, writeScript } from './fake-commands';

const COMPILED_SERVER = join(__dirname, '..', '..', 'dist', 'temporal-dev', 'server.js');

let lines: string[] = [];
const servers: TemporalServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  lines = [];
});
afterAll(removeFolders);

async function start(options: Partial<TemporalServerOptions> = {}): Promise<TemporalServer> {
  const server = await startTemporalServer({ headless: true, log: (line) => lines.push(line), ...options });
  servers.push(server);
  return server;
}

async function withConnection<T>(address: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

async function searchAttributes(address: string, namespace: string): Promise<string[]> {
  const { customAttributes } = await withConnection(address, (connection) =>
    connection.operatorService.listSearchAttributes({ namespace }),
  );
  return Object.keys(customAttributes ?? {});
}

/** Makes a database as it was before there were search attributes; the result ends the server that did. */
async function startWithoutAttributes(dbFile: string): Promise<() => Promise<void>> {
  const cli = await findTemporal({ log: (line) => lines.push(line) });
  const port = await freePort('127.0.0.1');
  const args = ['server', 'start-dev', '--headless', '--port', String(port), '--db-filename', dbFile];
  const child = spawn(cli, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  while (!(await isServing(`127.0.0.1:${port}`))) {
    if (child.exitCode !== null) throw new Error('the server ended early');
    await delay(20);
  }
  return async () => {
    child.kill('SIGTERM');
    await exited;
  };
}

/** Its parent. */
function watchdogOf({ pid }: TemporalServer): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** A process that ended but that nobody has waited for yet (state Z) is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Polls until the process is gone; the time it took, or undefined past the deadline. */
async function goneWithinMs(pid: number, deadlineMs: number): Promise<number | undefined> {
  const startedAt = Date.now();
  while (isAlive(pid)) {
    if (Date.now() - startedAt > deadlineMs) return undefined;
    await delay(10);
  }
  return Date.now() - startedAt;
}

async function listenAnywhere(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

describe('a started server', () => {
  test('answers a question for the end of a flow every five seconds: the notice of it may be lost', async () => {
    const { address, namespace } = await start();
    await withConnection(address, async (connection) => {
      const client = new Client({ connection, namespace });
      const { workflowId } = await client.workflow.start('never', { taskQueue: 'nobody', workflowId: 'waits' });
      // Longer than five seconds, shorter than the server's default of 20.
      const { history } = await connection.withDeadline(Date.now() + 15_000, () =>
        connection.workflowService.getWorkflowExecutionHistory({
          namespace,
          execution: { workflowId },
          waitNewEvent: true,
          historyEventFilterType: temporal.api.enums.v1.HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        }),
      );
      expect(history?.events ?? []).toEqual([]);
    });
  });

  test('serves on a free loopback port, with the search attributes, and leaves nothing behind', async () => {
    const server = await start({ namespace: 'acme' });
    expect(server).toMatchObject({ address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), namespace: 'acme' });
    expect(server).not.toHaveProperty('uiUrl');
    expect(await isServing(server.address)).toBe(true);
    expect(await searchAttributes(server.address, 'acme')).toEqual(
      expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
    );
    const commandLine = readFileSync(`/proc/${server.pid}/cmdline`, 'utf8').split('\0');
    const folder = join(commandLine[commandLine.indexOf('--db-filename') + 1] ?? '', '..');
    expect(existsSync(folder)).toBe(true);

    await server.stop();
    await server.stop();
    expect(await server.exited).toBe('exit code 0');
    expect(isAlive(server.pid)).toBe(false);
    expect(await isServing(server.address)).toBe(false);
    expect(existsSync(folder)).toBe(false);
    expect(lines).toEqual([]);
  });

  test('shows the web UI on the given port, and takes all of its dynamic configuration', async () => {
    const [port, uiPort, logFile] = [
      await freePort('127.0.0.1'),
      await freePort('127.0.0.1'),
      join(makeFolder(), 'log'),
    ];
    const server = await start({ headless: false, port, uiPort, logFile });
    expect(server).toMatchObject({ address: `127.0.0.1:${port}`, uiUrl: `http://127.0.0.1:${uiPort}` });
    const response = await fetch(server.uiUrl ?? '');
    expect(response.status).toBe(200);
    await response.body?.cancel();
    expect(readFileSync(logFile, 'utf8')).not.toMatch(/dynamic ?config|unknown/i);
  });

  test('keeps a database from one run to the next', async () => {
    const dbFile = join(makeFolder(), 'new', 'temporal.db');
    const first = await start({ dbFile, namespace: 'kept' });
    const describe = (address: string): Promise<unknown> =>
      withConnection(address, async (connection) => {
        const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: 'kept' });
        return namespaceInfo?.id;
      });
    const id = await describe(first.address);
    await first.stop();
    expect(existsSync(dbFile)).toBe(true);
    const second = await start({ dbFile, namespace: 'kept' });
    expect(await describe(second.address)).toBe(id);
    expect(await searchAttributes(second.address, 'kept')).toEqual(
      expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
    );
  });

  test('adds search attributes to the database of an earlier release, and knows them from its first flow on', async () => {
    const dbFile = join(makeFolder(), 'temporal.db');
    await (await startWithoutAttributes(dbFile))();
    const { address } = await start({ dbFile });
    const names = Object.keys(SEARCH_ATTRIBUTES);
    expect(await searchAttributes(address, 'default')).toEqual(expect.arrayContaining(names));
    const searchAttributesOfFlow = names.map((name) => ({
      key: defineSearchAttributeKey(name, 'KEYWORD'),
      value: 'some',
    }));
    await withConnection(address, async (connection) => {
      const { workflow } = new Client({ connection });
      const options = { taskQueue: 'nobody', workflowId: 'first', typedSearchAttributes: searchAttributesOfFlow };
      const { workflowId } = await workflow.start('any', options);
      expect(workflowId).toBe('first');
    });
  });

  test.each([
    ['a new database', false],
    ['the database of an earlier release', true],
  ])(
    'keeps flows out of the indexes of attributes that they do not have, in %s, and finds them by what they have',
    async (_, isOld) => {
      const dbFile = join(makeFolder(), 'temporal.db');
      if (isOld) await (await startWithoutAttributes(dbFile))();
      const { address } = await start({ dbFile });
      const key = defineSearchAttributeKey(Object.keys(SEARCH_ATTRIBUTES)[0] ?? '', 'KEYWORD');
      const parent = "ParentWorkflowId IS NULL AND WorkflowType = 'any'";
      await withConnection(address, async (connection) => {
        const { workflow } = new Client({ connection });
        const common = { taskQueue: 'nobody' };
        await workflow.start('any', { ...common, workflowId: 'with', typedSearchAttributes: [{ key, value: 'some' }] });
        await workflow.start('any', { ...common, workflowId: 'without' });
        const find = async (query: string): Promise<string[]> => {
          const found: string[] = [];
          for await (const { workflowId } of workflow.list({ query })) found.push(workflowId);
          return found.sort();
        };
        while ((await find(parent)).length < 2) await delay(20);
        expect(await find(`${key.name} = 'some'`)).toEqual(['with']);
        expect(await find(`${key.name} IN ('some', 'other') AND ExecutionStatus = 'Running'`)).toEqual(['with']);
        expect(await find(`${key.name} STARTS_WITH 'so'`)).toEqual(['with']);
        expect(await find(`${key.name} IS NULL AND WorkflowType = 'any'`)).toEqual(['without']);
        expect(await find(parent)).toEqual(['with', 'without']);
      });
      const database = new Sqlite(dbFile, { readonly: true });
      try {
        const rowsOf = (index: string): unknown =>
          database
            .prepare(`SELECT count(*) AS rows FROM executions_visibility INDEXED BY ${index} WHERE Int03 IS NOT NULL`)
            .get();
        expect(rowsOf('by_int_03')).toEqual({ rows: 0 });
        const [plan] = database
          .prepare<[], { detail: string }>(
            "EXPLAIN QUERY PLAN SELECT run_id FROM executions_visibility WHERE namespace_id = 'a' AND Keyword01 = 'b'",
          )
          .all();
        expect(plan?.detail).toMatch(/USING (?:COVERING )?INDEX by_keyword_01/);
        const whole = database
          .prepare(
            "SELECT name FROM sqlite_schema WHERE tbl_name = 'executions_visibility' AND sql LIKE 'CREATE INDEX by_%' AND sql NOT LIKE '%) WHERE %'",
          )
          .pluck()
          .all();
        // Of what every flow has.
        expect(whole.sort()).toEqual([
          'by_execution_time',
          'by_root_run_id',
          'by_root_workflow_id',
          'by_status',
          'by_task_queue',
          'by_temporal_namespace_division',
          'by_workflow_id',
          'by_workflow_type',
        ]);
      } finally {
        database.close();
      }
      expect(lines.filter((line) => line.includes('indexes'))).toEqual([]);
    },
  );

  test('is not disturbed by the profile of another Temporal', async () => {
    process.env.TEMPORAL_CONFIG_FILE = '/nowhere/temporal.toml';
    try {
      const server = await start({ dbFile: join(makeFolder(), 'temporal.db') });
      expect(await isServing(server.address)).toBe(true);
    } finally {
      delete process.env.TEMPORAL_CONFIG_FILE;
    }
  });

  test('says when somebody else ends it', async () => {
    const server = await start();
    process.kill(server.pid, 'SIGKILL');
    expect(await server.exited).toBe('signal SIGKILL');
    await server.stop();
  });

  test('stays where its watchdog is asked to end, and is ended by it afterwards', async () => {
    const server = await start();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(watchdogOf(server), signal);
    expect(await isServing(server.address)).toBe(true);
    await server.stop();
    expect(await server.exited).toBe('exit code 0');
    expect(isAlive(server.pid)).toBe(false);
  });

  test('ends with its watchdog', async () => {
    const server = await start();
    process.kill(watchdogOf(server), 'SIGKILL');
    expect(await server.exited).toBe('its watchdog ended with SIGKILL');
    expect(await goneWithinMs(server.pid, 2_000)).toBeDefined();
    await server.stop();
  });

  test('starts side by side with others', async () => {
    const [first, second, third] = await Promise.all([start(), start(), start()]);
    expect(new Set([first.address, second.address, third.address]).size).toBe(3);
  });
});

describe('a server that cannot start', () => {
  test.each(['port', 'uiPort'] as const)('names the %s that is in use, and what to do', async (option) => {
    const { server, port } = await listenAnywhere();
    const flag = option === 'port' ? '--port' : '--ui-port';
    try {
      const refusal = start({ [option]: port, headless: false });
      await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
      await expect(refusal).rejects.toThrow(
        `port ${port} on 127.0.0.1 is in use (${flag}); stop what listens there, or choose another port with ${flag}`,
      );
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test.each<[string, Partial<TemporalServerOptions>, RegExp]>([
    ['a port that is none', { port: 70_000 }, /--port is 70000; expected a whole number from 1 to 65535/],
    ['one port for two things', { port: 7999, uiPort: 7999, headless: false }, /--port and --ui-port are both 7999/],
    ['an address of another machine', { ip: '192.0.2.1', port: 7999 }, /192\.0\.2\.1 is no address of this machine/],
  ])('refuses %s', async (_, options, message) => {
    const refusal = start(options);
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
    await expect(refusal).rejects.toThrow(message);
  });

  test('is reported with the end of its log when it ends early', async () => {
    const dbFile = join(makeFolder(), 'not-a-database');
    writeFileSync(dbFile, 'This is text and no database. '.repeat(100));
    const refusal = start({ dbFile });
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
    await expect(refusal).rejects.toThrow(/ended early \(exit code 1\)\. The end of its log:\n.*not a database/s);
    expect(lines).toEqual([
      expect.stringMatching(/^the indexes of .* stay as they are, which is slower: .*file is not a database$/),
    ]);
  });

  test('is reported when it cannot be run at all', async () => {
    const refusal = start({ cli: '/nowhere/temporal' });
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
    await expect(refusal).rejects.toThrow(/cannot be started: .*ENOENT/);
  });

  test('is tried again, up to five times, while ports are taken under its hands', async () => {
    const countFile = join(makeFolder(), 'count');
    const cli = writeScript(
      makeFolder(),
      'temporal',
      `echo x >> ${countFile}; echo "bind: address already in use" >&2; exit 1`,
    );
    await expect(start({ cli })).rejects.toThrow(/address already in use/);
    expect(readFileSync(countFile, 'utf8')).toBe('x\n'.repeat(5));
    expect(lines).toEqual(Array(4).fill('a port was taken while the Temporal server started; trying again'));
  });
});

describe('the end of the process that started it', () => {
  /** Starts a server in a process of its own, which then waits for a line and does what it says. */
  async function startInChild(
    dbFile: string,
  ): Promise<{ pid: number; serverPid: number; ended: Promise<unknown>; tell(line: string): void }> {
    const script = `
      const { startTemporalServer } = require(${JSON.stringify(COMPILED_SERVER)});
      process.stdin.once('data', (text) => {
        if (String(text).startsWith('exit')) process.exit(0);
        if (String(text).startsWith('throw')) throw new Error('on purpose');
        process.stdin.destroy();
      });
      startTemporalServer({ headless: true, dbFile: ${JSON.stringify(dbFile)}, log: console.error })
        .then((server) => console.log(server.pid));`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const line = await new Promise<string>((resolve, reject) => {
      createInterface(child.stdout).once('line', resolve);
      child.once('close', () => reject(new Error(`the child ended early: ${errors}`)));
    });
    return { pid: child.pid ?? 0, serverPid: Number(line), ended, tell: (text) => child.stdin.write(`${text}\n`) };
  }

  test.each<[string, (child: { pid: number; tell(line: string): void }) => void]>([
    ['kill -9', ({ pid }) => process.kill(pid, 'SIGKILL')],
    ['an unhandled SIGTERM', ({ pid }) => process.kill(pid, 'SIGTERM')],
    ['process.exit', ({ tell }) => tell('exit')],
    ['an uncaught error', ({ tell }) => tell('throw')],
    ['having nothing left to do', ({ tell }) => tell('rest')],
  ])('by %s is the end of the server within 2 s', async (_, end) => {
    const child = await startInChild(join(makeFolder(), 'temporal.db'));
    expect(isAlive(child.serverPid)).toBe(true);
    end(child);
    await child.ended;
    expect(await goneWithinMs(child.serverPid, 2_000)).toBeDefined();
  });
});
