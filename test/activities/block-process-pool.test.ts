import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqlQuery } from '../../src/activities/blocks/sql-query';
import type { PortCall } from '../../src/activities/port-observer';
import { createSqlDatabases, type DatabaseConfig } from '../../src/activities/ports/configured-databases';
import { type BlockProcessPool, createBlockProcessPool } from '../../src/activities/process/block-process-pool';
import type { BlockProcessPoolOptions } from '../../src/activities/process/process-lender';
import { StepMeter } from '../../src/activities/step-meter';
import type { ErrorCode } from '../../src/dsl/error-codes';
import { FlowError } from '../../src/dsl/errors';
import type { JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';
import { type Compiled, compileSources } from '../helpers/compiled';
import { UNLIMITED_SPACE } from '../helpers/unlimited-space';

/** Blocks that misbehave in ways that real ones must not; runs inside of the children. */
const MISBEHAVING = `
  const forever = () => new Promise(() => setInterval(() => {}, 1000));
  const blocks = {
    'test.echo': async (args, context) => ({
      args, step: context.step, deadline: context.deadline, last: context.lastHeartbeat ?? null,
      environment: Object.keys(process.env), pid: process.pid,
    }),
    'test.heap': async () => { const kept = []; for (;;) kept.push(new Array(100000).fill(kept.length)); },
    'test.exit': async ({ code }) => process.exit(code),
    'http.test': async ({ code }) => process.exit(code),
    'test.throw': async () => { setImmediate(() => { throw new Error('thrown by nobody'); }); await forever(); },
    'test.fail': async ({ how }) => { throw failures[how](); },
    'test.block': async (args, { heartbeat }) => { heartbeat('begun'); for (;;); },
    'test.stubborn': (args, { heartbeat }) => { heartbeat('begun'); return forever(); },
    'test.polite': ({ file }, { signal, heartbeat }) => new Promise((_resolve, reject) => {
      heartbeat('begun');
      const timer = setInterval(() => {}, 1000);
      signal.addEventListener('abort', () => {
        clearInterval(timer);
        require('node:fs').writeFileSync(file, 'cleaned up');
        reject(signal.reason);
      });
    }),
    'test.late': (args, { signal, heartbeat }) => new Promise((resolve) => {
      heartbeat('begun');
      const timer = setInterval(() => {}, 1000);
      signal.addEventListener('abort', () => { clearInterval(timer); resolve('done all the same'); });
    }),
    'test.heartbeats': async ({ count }, { heartbeat }) => {
      for (let n = 1; n <= count; n += 1) { heartbeat({ n }); if (n % 100 === 0) await new Promise(setImmediate); }
      return null;
    },
  };
  const failures = {
    retryable: () => retryable('BLW_HTTP_STATUS', 'busy', { status: 429, retryAfterMs: 1500, data: { answer: 'later' } }),
    final: () => notRetryable('BLW_FS_NOT_FOUND', 'no such blob'),
    plain: () => flowError('BLW_DATA_INVALID', 'neither nor', { instance: '/do/0/x' }),
    defect: () => new TypeError('x is not a function'),
  };`;

let compiled: Compiled;
let folder: string;
let misbehaving: string;
const pools: BlockProcessPool[] = [];

beforeAll(() => {
  compiled = compileSources();
}, 120_000);

afterAll(() => compiled?.remove());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blw-pool-'));
  misbehaving = join(folder, 'misbehaving.js');
  const load = (file: string) => `require(${JSON.stringify(compiled.path(file))})`;
  writeFileSync(
    misbehaving,
    `const { serveBlocks } = ${load('src/activities/process/child-server.js')};
     const { retryable, notRetryable } = ${load('src/activities/block-failure.js')};
     const { flowError } = ${load('src/dsl/errors.js')};
     ${MISBEHAVING}
     const createPorts = async () => ({ ports: { of: () => ({}) }, close: async () => {} });
     serveBlocks({ createPorts, findExecutor: (type) => blocks[type] });`,
  );
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
  rmSync(folder, { recursive: true, force: true });
});

const shop = (): DatabaseConfig => ({ name: 'shop', kind: 'sqlite', file: join(folder, 'shop.db') });

function openPool(options: Partial<BlockProcessPoolOptions> = {}): BlockProcessPool {
  const pool = createBlockProcessPool({
    entry: compiled.path('src/activities/process/child-main.js'),
    size: 1,
    maxMemoryMb: 256,
    init: { databases: [shop()], blobRoot: join(folder, 'blobs'), allowHosts: [] },
    space: UNLIMITED_SPACE,
    ...options,
  });
  pools.push(pool);
  return pool;
}

const openMisbehaving = (options: Partial<BlockProcessPoolOptions> = {}) =>
  openPool({ entry: misbehaving, ...options });

const sql = (statement: string): JsonObject => ({ database: 'shop', statement });
const inTime = (timeoutMs?: number, signal?: AbortSignal, idempotent = true) =>
  makeContext(
    {},
    {
      step: { idempotent },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
    },
  );

const ENDLESS = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c';

/** False for processes that are gone, and for those that only wait for somebody to ask for their exit code. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function until(isTrue: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The only child of a pool. */
function childOf(pool: BlockProcessPool): number {
  const [pid] = pool.pids();
  if (pid === undefined) throw new Error('the pool has no process');
  return pid;
}

describe('blocks in child processes', () => {
  it('run as they would here', async () => {
    const pool = openPool();
    await pool.run('sql.execute', sql('CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)'), inTime());
    const insert = { ...sql('INSERT INTO items (name) VALUES (:name)'), parameters: { name: 'pen' } };
    await expect(pool.run('sql.execute', insert, inTime())).resolves.toEqual({ rowsAffected: 1, lastInsertId: 1 });
    const output = await pool.run('sql.query', sql('SELECT * FROM items'), inTime());
    const databases = createSqlDatabases([shop()]);
    await expect(sqlQuery(sql('SELECT * FROM items'), makeContext({ databases }))).resolves.toEqual(output);
    await databases.close();
    expect(output).toEqual({ columns: ['id', 'name'], rows: [{ id: 1, name: 'pen' }], rowCount: 1, truncated: false });
    expect(pool.stats()).toMatchObject({ started: 1, lost: 0, idle: 1, busy: 0, queued: 0 });
  });

  it('fail as they would here', async () => {
    const pool = openPool();
    const missing = await failureOf(pool.run('sql.query', sql('SELECT * FROM missing'), inTime()));
    expect(missing.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(missing.message).toBe('database "shop", statement: no such table: missing (SQLITE_ERROR)');
    expect(missing.options.retryable).toBe(false);
    const unknown = await failureOf(pool.run('sql.query', { database: 'crm', statement: 'SELECT 1' }, inTime()));
    expect(unknown.data.code).toBe<ErrorCode>('BLW_SQL_DATABASE_UNKNOWN');
    expect(unknown.message).toContain('there are: shop');
    const block = await failureOf(pool.run('no.block', {}, inTime()));
    expect(block.data.code).toBe<ErrorCode>('BLW_BLOCK_UNKNOWN');
  });

  it('know their step, and nothing of the environment', async () => {
    process.env.BLW_TEST_SECRET = 'a secret of the worker';
    try {
      const context = { ...inTime(), lastHeartbeat: { n: 7 } };
      const output = await openMisbehaving().run('test.echo', { a: [1] }, context);
      const { step, deadline } = context;
      expect(output).toMatchObject({ args: { a: [1] }, step, deadline, last: { n: 7 } });
      expect(output).toMatchObject({ environment: expect.not.arrayContaining(['BLW_TEST_SECRET', 'PATH', 'HOME']) });
    } finally {
      delete process.env.BLW_TEST_SECRET;
    }
  });

  it.each<[string, object, object]>([
    [
      'retryable',
      { code: 'BLW_HTTP_STATUS', detail: 'busy', status: 429, data: { answer: 'later' } },
      { retryable: true, retryAfterMs: 1500 },
    ],
    ['final', { code: 'BLW_FS_NOT_FOUND', detail: 'no such blob', status: 404 }, { retryable: false }],
    [
      'defect',
      { code: 'BLW_BLOCK_FAILED', detail: 'the block failed unexpectedly: TypeError: x is not a function' },
      { retryable: false },
    ],
  ])('hand a %s failure over whole', async (how, data, options) => {
    const failure = await failureOf(openMisbehaving().run('test.fail', { how }, inTime()));
    expect(failure.data).toMatchObject(data);
    expect(failure.options).toMatchObject(options);
  });

  it('hand over an error that does not say whether to retry', async () => {
    const error = await openMisbehaving()
      .run('test.fail', { how: 'plain' }, inTime())
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FlowError);
    expect(error).toMatchObject({ data: { code: 'BLW_DATA_INVALID', detail: 'neither nor', instance: '/do/0/x' } });
    expect(error).not.toHaveProperty('options');
  });

  it('pass heartbeats on, merged, the last one always', async () => {
    const context = inTime();
    await openMisbehaving().run('test.heartbeats', { count: 5_000 }, context);
    expect(context.heartbeats[0]).toEqual({ n: 1 });
    expect(context.heartbeats.at(-1)).toEqual({ n: 5_000 });
    expect(context.heartbeats.length).toBeLessThan(100);
  });

  it('open new SQLite files from many processes at once', async () => {
    const names = Array.from({ length: 10 }, (_item, index) => `d${index}`);
    const databases = names.map((name) => ({ name, kind: 'sqlite' as const, file: join(folder, `${name}.db`) }));
    const pool = openPool({ size: 6, init: { databases, blobRoot: join(folder, 'blobs'), allowHosts: [] } });
    const make = 'CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY)';
    for (const database of names) {
      const writes = Array.from({ length: 3 }, () => pool.run('sql.execute', { database, statement: make }, inTime()));
      const reads = Array.from({ length: 3 }, () =>
        pool.run('sql.query', { database, statement: 'SELECT 1' }, inTime()),
      );
      await Promise.all([...writes, ...reads]);
    }
    expect(pool.stats()).toMatchObject({ started: 6, lost: 0 });
  });
});

describe('a block that does not stop by itself', () => {
  it('is stopped at its deadline while this process stays responsive', async () => {
    const pool = openPool();
    await pool.run('sql.query', sql('SELECT 1'), inTime());
    const pid = childOf(pool);
    let ticks = 0;
    let longestGapMs = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      const now = performance.now();
      longestGapMs = Math.max(longestGapMs, now - last);
      last = now;
      ticks += 1;
    }, 10);
    const started = Date.now();
    const failure = await failureOf(pool.run('sql.query', sql(ENDLESS), inTime(600)));
    clearInterval(ticker);
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    expect(failure.options.retryable).toBe(true);
    expect(Date.now() - started).toBeLessThan(1_500);
    expect(ticks).toBeGreaterThan(20);
    expect(longestGapMs).toBeLessThan(400);
    expect(isAlive(pid)).toBe(false);
    await expect(pool.run('sql.query', sql('SELECT 2 AS two'), inTime())).resolves.toMatchObject({
      rows: [{ two: 2 }],
    });
    expect(pool.stats()).toMatchObject({ started: 2, lost: 1 });
  });

  it('fails with BLW_STEP_TIMEOUT where it is no SQL', async () => {
    const failure = await failureOf(openMisbehaving().run('test.block', {}, inTime(500)));
    expect(failure.data.code).toBe<ErrorCode>('BLW_STEP_TIMEOUT');
    expect(failure.options.retryable).toBe(true);
  });

  it('leaves a SQLite file as it was', async () => {
    const pool = openPool();
    await pool.run('sql.execute', sql('CREATE TABLE numbers (x)'), inTime());
    const endless =
      'INSERT INTO numbers WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c';
    const failure = await failureOf(pool.run('sql.execute', sql(endless), inTime(500)));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    const count = await pool.run('sql.query', sql('SELECT count(*) AS n FROM numbers'), inTime());
    expect(count).toMatchObject({ rows: [{ n: 0 }] });
    await pool.run('sql.execute', sql('INSERT INTO numbers VALUES (1)'), inTime());
  });

  it.each<[string, string, JsonObject, number]>([
    ['inside of a native call', 'test.block', {}, 900],
    ['although it hears of it', 'test.stubborn', {}, 1_900],
  ])('is ended when it is cancelled %s', async (_name, blockType, args, withinMs) => {
    const pool = openMisbehaving();
    await pool.run('test.echo', {}, inTime());
    const pid = childOf(pool);
    const controller = new AbortController();
    const context = inTime(20_000, controller.signal);
    const outcome = pool.run(blockType, args, context).catch((error: unknown) => error);
    await until(() => context.heartbeats.length > 0);
    const reason = new Error('cancelled by the test');
    const started = Date.now();
    controller.abort(reason);
    await expect(outcome).resolves.toBe(reason);
    expect(Date.now() - started).toBeLessThan(withinMs);
    expect(isAlive(pid)).toBe(false);
    await expect(pool.run('test.echo', {}, inTime())).resolves.toMatchObject({ args: {} });
  });
});

describe('a block that is cancelled', () => {
  it('cleans up, and its process goes on', async () => {
    const pool = openMisbehaving();
    await pool.run('test.echo', {}, inTime());
    const controller = new AbortController();
    const file = join(folder, 'cleaned');
    const context = inTime(20_000, controller.signal);
    const outcome = pool.run('test.polite', { file }, context).catch((error: unknown) => error);
    const reason = new Error('cancelled by the test');
    await until(() => context.heartbeats.length > 0);
    const started = Date.now();
    controller.abort(reason);
    await expect(outcome).resolves.toBe(reason);
    expect(Date.now() - started).toBeLessThan(900);
    expect(readFileSync(file, 'utf8')).toBe('cleaned up');
    await pool.run('test.echo', {}, inTime());
    expect(pool.stats()).toMatchObject({ started: 1, lost: 0 });
  });

  it('keeps its result where it was done all the same', async () => {
    const pool = openMisbehaving();
    const controller = new AbortController();
    const context = inTime(20_000, controller.signal);
    const outcome = pool.run('test.late', {}, context);
    await until(() => context.heartbeats.length > 0);
    controller.abort(new Error('too late'));
    await expect(outcome).resolves.toBe('done all the same');
  });

  it('does not begin where it was cancelled before', async () => {
    const pool = openMisbehaving();
    const reason = new Error('cancelled by the test');
    await expect(pool.run('test.echo', {}, inTime(1_000, AbortSignal.abort(reason)))).rejects.toBe(reason);
    const controller = new AbortController();
    const outcome = pool.run('test.block', {}, inTime(20_000, controller.signal));
    controller.abort(reason);
    await expect(outcome).rejects.toBe(reason);
    await expect(pool.run('test.echo', {}, inTime())).resolves.toMatchObject({ args: {} });
  });
});

describe('a process that ends under its block', () => {
  it.each<[string, string, JsonObject, RegExp, object]>([
    ['by an exit', 'test.exit', { code: 3 }, /ended with exit code 3/, { exitCode: 3, signal: null, memory: false }],
    ['by an uncaught error', 'test.throw', {}, /exit code 1; Error: thrown by nobody/, { exitCode: 1, memory: false }],
  ])('%s is a retryable failure, and the next block runs', async (_name, blockType, args, message, data) => {
    const pool = openMisbehaving();
    const failure = await failureOf(pool.run(blockType, args, inTime()));
    expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
    expect(failure.message).toMatch(message);
    expect(failure.data.data).toMatchObject(data);
    expect(failure.options.retryable).toBe(true);
    await expect(pool.run('test.echo', {}, inTime())).resolves.toMatchObject({ args: {} });
  });

  it.each<[string, string, JsonObject, boolean, ErrorCode]>([
    ['of a block that may have taken effect', 'test.exit', { code: 3 }, false, 'BLW_OUTCOME_UNKNOWN'],
    ['of a request whose method may not be repeated', 'http.test', { method: 'post' }, false, 'BLW_OUTCOME_UNKNOWN'],
    ['of a request whose method may be repeated', 'http.test', { method: 'put' }, true, 'BLW_BLOCK_CRASHED'],
  ])('%s is retryable only where that is harmless', async (_name, blockType, args, isRetryable, code) => {
    const pool = openMisbehaving();
    const failure = await failureOf(pool.run(blockType, { code: 3, ...args }, inTime(20_000, undefined, false)));
    expect(failure.data.code).toBe(code);
    expect(failure.message).toContain('ended with exit code 3');
    expect(failure.options.retryable).toBe(isRetryable);
    if (!isRetryable) expect(failure.data.data).toEqual({ outcome: 'unknown' });
  });

  it('by SIGKILL is a retryable failure, and the next block runs', async () => {
    const pool = openPool();
    await pool.run('sql.query', sql('SELECT 1'), inTime());
    const outcome = failureOf(pool.run('sql.query', sql(ENDLESS), inTime()));
    await until(() => pool.stats().busy === 1);
    // The block has begun once the child burns CPU time; a child that has not begun is replaced without a word.
    const pid = childOf(pool);
    const cpuTicks = () => Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[11] ?? 0);
    const before = existsSync('/proc') ? cpuTicks() : 0;
    await until(() => !existsSync('/proc') || cpuTicks() > before + 10);
    process.kill(pid, 'SIGKILL');
    const failure = await outcome;
    expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
    expect(failure.message).toContain('by signal SIGKILL');
    expect(failure.options.retryable).toBe(true);
    await expect(pool.run('sql.query', sql('SELECT 2 AS two'), inTime())).resolves.toMatchObject({
      rows: [{ two: 2 }],
    });
  });

  it('while idle is replaced without a failure', async () => {
    const pool = openMisbehaving();
    await pool.run('test.echo', {}, inTime());
    process.kill(childOf(pool), 'SIGKILL');
    await expect(pool.run('test.echo', { a: 1 }, inTime())).resolves.toMatchObject({ args: { a: 1 } });
    expect(pool.stats()).toMatchObject({ started: 2, lost: 0 });
  });

  it('at once, again and again, says why', async () => {
    const broken = join(folder, 'broken.js');
    writeFileSync(broken, "throw new Error('the entry is broken');");
    const pool = openPool({ entry: broken });
    const failure = await failureOf(pool.run('sql.query', sql('SELECT 1'), inTime()));
    expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
    expect(failure.message).toContain('Error: the entry is broken');
    expect(pool.stats().started).toBe(2);
  });

  const requireContained = async (hog: Promise<unknown>) => {
    const failure = await failureOf(hog);
    expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
    expect(failure.message).toContain('memory is the likely cause: raise --max-memory-mb (now 64)');
    expect(failure.data.data).toMatchObject({ memory: true });
    expect(failure.options.retryable).toBe(true);
  };

  it("by filling V8's heap is contained", async () => {
    const pool = openMisbehaving({ maxMemoryMb: 64 });
    await requireContained(pool.run('test.heap', {}, inTime()));
    await expect(pool.run('test.echo', {}, inTime())).resolves.toMatchObject({ args: {} });
  });

  it('by filling memory that V8 does not count is contained', async () => {
    const pool = openPool({ maxMemoryMb: 64 });
    const rows = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 900)';
    const hog = `${rows} SELECT length(group_concat(hex(randomblob(500000)))) FROM c`;
    await requireContained(pool.run('sql.query', sql(hog), inTime()));
    await expect(pool.run('sql.query', sql('SELECT 1 AS one'), inTime())).resolves.toMatchObject({
      rows: [{ one: 1 }],
    });
  });
});

describe('a tenant with less memory than the worker gives', () => {
  const little = (memoryMb = 64) => ({ ...inTime(), step: { ...inTime().step, memoryMb } });

  it('is held to it, and is told whose limit it is', async () => {
    const pool = openMisbehaving({ maxMemoryMb: 512 });
    const failure = await failureOf(pool.run('test.heap', {}, little()));
    expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
    expect(failure.message).toContain("raise the tenant's quota memoryMb (now 64)");
    expect(failure.data.data).toMatchObject({ memory: true });
  });

  it('has processes of its own, and those that stand idle make room for others', async () => {
    const pool = openMisbehaving({ maxMemoryMb: 512, size: 2 });
    const pidOf = async (run: Promise<unknown>) => ((await run) as { pid: number }).pid;
    const [first, second] = await Promise.all([1, 2].map(() => pidOf(pool.run('test.echo', {}, inTime()))));
    const small = await pidOf(pool.run('test.echo', {}, little()));
    expect([first, second]).not.toContain(small);
    expect(await pidOf(pool.run('test.echo', {}, little()))).toBe(small);
    expect([first, second]).toContain(await pidOf(pool.run('test.echo', {}, inTime())));
    expect(pool.stats()).toMatchObject({ started: 3, busy: 0, lost: 0 });
  });

  it('never gets more than the worker gives', async () => {
    const pool = openMisbehaving({ maxMemoryMb: 64 });
    const failure = await failureOf(pool.run('test.heap', {}, little(4_096)));
    expect(failure.message).toContain('(now 64)');
  });

  it('is charged for what its blocks use', async () => {
    const pool = openMisbehaving({ size: 1 });
    const meter = new StepMeter();
    await meter.run(() => pool.run('test.echo', {}, inTime()));
    expect(meter.peakMemoryBytes).toBeGreaterThan(10_000_000);
    const { cpuMs } = meter;
    const endless = { ...inTime(), deadline: Date.now() + 400 };
    await failureOf(meter.run(() => pool.run('test.block', {}, endless)));
    // Nobody can ask a process that had to be ended.
    expect(meter.cpuMs - cpuMs).toBeGreaterThan(300);
  });
});

describe('a pool', () => {
  it('tells why its processes ended', async () => {
    const pool = openMisbehaving({ maxMemoryMb: 64 });
    const little = { ...inTime(), step: { ...inTime().step, memoryMb: 32 } };
    await failureOf(pool.run('test.exit', { code: 3 }, inTime()));
    await failureOf(pool.run('test.heap', {}, inTime()));
    await failureOf(pool.run('test.block', {}, { ...inTime(), deadline: Date.now() + 300 }));
    const cancelled = new AbortController();
    const stubborn = pool.run(
      'test.stubborn',
      {},
      { ...inTime(60_000, cancelled.signal), heartbeat: () => cancelled.abort() },
    );
    await expect(stubborn).rejects.toThrow('aborted');
    await pool.run('test.echo', {}, inTime());
    await pool.run('test.echo', {}, little);
    await pool.close();
    const reasons = ['crash', 'memory', 'deadline', 'cancelled', 'replaced', 'stopped'];
    expect([...pool.stats().exits]).toEqual(reasons.map((reason) => [reason, 1]));
  });

  it('tells what blocks do with their ports, in children that are asked to keep a record', async () => {
    const calls: PortCall[] = [];
    const pool = openPool({ observe: (call) => calls.push(call) });
    await pool.run('sql.query', sql('SELECT 1'), inTime());
    await failureOf(pool.run('sql.query', sql('SELECT none'), inTime()));
    await pool.run('fs.put', { path: 'a', content: 'text' }, inTime());
    const ms: unknown = expect.any(Number);
    const query = { port: 'sql', kind: 'sqlite', operation: 'query' };
    expect(calls).toEqual([
      { ...query, isOk: true, ms },
      { ...query, isOk: false, ms },
      { port: 'blob', operation: 'put', isOk: true },
      { port: 'bytes', of: 'blob', direction: 'out', bytes: 4 },
    ]);
  });

  (existsSync('/proc/self/stat') ? it : it.skip)('says what a process uses while it runs a block', async () => {
    const pool = openMisbehaving();
    const begun = new Promise<void>((resolve) => {
      const context = { ...inTime(1_500), heartbeat: () => resolve() };
      pool.run('test.block', {}, context).catch(() => undefined);
    });
    await begun;
    // Nothing has been reported: this is what the system says, and it goes up.
    const { cpuMs, rssBytes } = pool.stats();
    expect(rssBytes).toBeGreaterThan(20 * 1024 * 1024);
    await until(() => pool.stats().cpuMs > cpuMs + 100);
  });

  it('runs no more processes than its size', async () => {
    const pool = openMisbehaving({ size: 2 });
    const runs = Array.from({ length: 10 }, () =>
      pool.run('test.echo', {}, inTime()).then((output) => (output as { pid: number }).pid),
    );
    expect(pool.stats()).toMatchObject({ started: 2, busy: 2, queued: 8 });
    expect(new Set(await Promise.all(runs)).size).toBe(2);
    expect(pool.stats()).toMatchObject({ started: 2, busy: 0, idle: 2, queued: 0 });
    expect(pool.stats().rssBytes).toBeGreaterThan(2 * 10 * 1024 * 1024);
    expect(pool.stats().cpuMs).toBeGreaterThan(0);
  });

  it('runs blocks in the order they came', async () => {
    const pool = openMisbehaving();
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 10 }, (_item, index) => pool.run('test.echo', {}, inTime()).then(() => order.push(index))),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('lets a block leave the queue by cancellation or deadline', async () => {
    const pool = openMisbehaving();
    const stop = new AbortController();
    const first = inTime(20_000, stop.signal);
    const running = pool.run('test.late', {}, first);
    const controller = new AbortController();
    const reason = new Error('cancelled by the test');
    const cancelled = pool.run('test.echo', {}, inTime(20_000, controller.signal)).catch((error: unknown) => error);
    const late = failureOf(pool.run('sql.query', {}, inTime(100)));
    expect(pool.stats().queued).toBe(2);
    controller.abort(reason);
    await expect(cancelled).resolves.toBe(reason);
    const failure = await late;
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    expect(failure.message).toContain('still waiting for a free process');
    expect(pool.stats()).toMatchObject({ queued: 0, started: 1, lost: 0 });
    await until(() => first.heartbeats.length > 0);
    stop.abort();
    await expect(running).resolves.toBe('done all the same');
  });

  it('ends its processes when it is closed, and runs nothing after that', async () => {
    const pool = openMisbehaving({ size: 2 });
    await pool.run('test.echo', {}, inTime());
    const contexts = [inTime(), inTime()] as const;
    const file = join(folder, 'cleaned');
    const running = failureOf(pool.run('test.stubborn', {}, contexts[0]));
    const polite = failureOf(pool.run('test.polite', { file }, contexts[1]));
    const queued = failureOf(pool.run('test.echo', {}, inTime()));
    await until(() => contexts.every(({ heartbeats }) => heartbeats.length > 0));
    const pids = pool.pids();
    await pool.close();
    expect(readFileSync(file, 'utf8')).toBe('cleaned up');
    expect(pids.length).toBe(2);
    expect(pids.filter(isAlive)).toEqual([]);
    for (const failure of [
      await running,
      await polite,
      await queued,
      await failureOf(pool.run('test.echo', {}, inTime())),
    ]) {
      expect(failure.data.code).toBe<ErrorCode>('BLW_BLOCK_CRASHED');
      expect(failure.message).toContain('the worker stops');
      expect(failure.options.retryable).toBe(true);
    }
  });

  it.each<[string, string, JsonObject]>([
    ['idle', 'sql.query', sql('SELECT 1')],
    ['inside of a native call', 'sql.query', sql(ENDLESS)],
  ])('takes its processes along when its own process is killed while they are %s', async (name, blockType, args) => {
    const parent = join(folder, 'parent.js');
    const init = { databases: [shop()], blobRoot: join(folder, 'blobs'), allowHosts: [] };
    writeFileSync(
      parent,
      `const { createBlockProcessPool } = require(${JSON.stringify(compiled.path('src/activities/process/block-process-pool.js'))});
       const entry = ${JSON.stringify(compiled.path('src/activities/process/child-main.js'))};
       const pool = createBlockProcessPool({ entry, size: 1, maxMemoryMb: 256, init: ${JSON.stringify(init)} });
       const context = () => ({
         step: {}, ports: {}, signal: new AbortController().signal, deadline: Date.now() + 60000, heartbeat() {},
         fence: { freshUntil: { monotonicMs: 1e15, wallMs: 1e15 } },
       });
       (async () => {
         await pool.run('sql.query', ${JSON.stringify(sql('SELECT 1'))}, context());
         const run = pool.run(${JSON.stringify(blockType)}, ${JSON.stringify(args)}, context());
         if (${JSON.stringify(name)} === 'idle') await run;
         process.send(pool.pids());
       })();`,
    );
    const process = fork(parent, [], { execArgv: [] });
    const [pid = 0] = await new Promise<number[]>((resolve) =>
      process.once('message', (pids) => resolve(pids as number[])),
    );
    expect(isAlive(pid)).toBe(true);
    process.kill('SIGKILL');
    await until(() => !isAlive(pid));
  });
});
