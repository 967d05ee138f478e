import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { fsDelete } from '../../src/activities/blocks/fs-delete';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { AttemptFence, type Fence, freshFor, outdated } from '../../src/activities/fence';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import { openPostgresDatabase } from '../../src/activities/ports/postgres-database';
import type { SqlDatabase } from '../../src/activities/ports/sql-databases';
import { openSqliteDatabase } from '../../src/activities/ports/sqlite-database';
import { TENANT, useBlobStore } from '../helpers/blob-store-fixture';
import { failureOf, makeContext } from '../helpers/block-context';
import { LoopbackServers } from '../helpers/loopback';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';

const LONG_MS = 3_600_000;
const never = new AbortController().signal;
const refusal = outdated('it was given up');
const GIVEN_UP = { code: 'BLW_STEP_OUTDATED' };

/** Says of each question in turn whether the attempt is current; the last answer stands. */
function fenceThat(...answers: boolean[]): Fence & { asked: number } {
  return {
    asked: 0,
    freshUntil: freshFor(0),
    isFresh: () => false,
    async confirm() {
      const isCurrent = answers[Math.min(this.asked, answers.length - 1)];
      this.asked += 1;
      if (isCurrent !== true) throw refusal;
    },
  };
}

describe('a fence', () => {
  const now = freshFor(0);
  const later = freshFor(LONG_MS);

  test.each([
    ['nobody where both clocks say that the attempt is current', later, 0],
    ['where the monotonic clock leaves it in doubt', { ...later, monotonicMs: now.monotonicMs }, 1],
    ['where the wall clock does, as after a machine has slept', { ...later, wallMs: now.wallMs }, 1],
  ])('asks %s', async (_, until, expected) => {
    let asked = 0;
    const fence = new AttemptFence(until, never, async () => {
      asked += 1;
      return freshFor(LONG_MS);
    });
    await fence.confirm();
    await fence.confirm();
    expect([asked, fence.isFresh()]).toEqual([expected, true]);
  });

  test('asks once for all who want to know at the same time, and again after a refusal', async () => {
    let asked = 0;
    const fence = new AttemptFence(now, never, async () => {
      asked += 1;
      if (asked === 1) throw refusal;
      return freshFor(LONG_MS);
    });
    const both = await Promise.allSettled([fence.confirm(), fence.confirm()]);
    expect([asked, ...both.map(({ status }) => status)]).toEqual([1, 'rejected', 'rejected']);
    await fence.confirm();
    expect(asked).toBe(2);
  });

  test('refuses where the answer is too old by the time that it comes, and where the step is to stop', async () => {
    const failure = await failureOf(new AttemptFence(now, never, async () => freshFor(-1)).confirm());
    expect([failure.data.code, failure.options.retryable]).toEqual(['BLW_STEP_OUTDATED', true]);
    const stop = new AbortController();
    stop.abort(new Error('stop'));
    await expect(new AttemptFence(later, stop.signal, async () => later).confirm()).rejects.toThrow('stop');
  });
});

describe('an HTTP call', () => {
  const servers = new LoopbackServers();
  let http: HttpClient;
  beforeEach(() => {
    http = createHttpClient({ allowHosts: ['127.0.0.1'] });
  });
  afterEach(async () => {
    await http.close();
    await servers.close();
  });
  const call = (method: string, uri: string, fence: Fence, args = {}) =>
    httpRequest({ method, endpoint: { uri }, ...args }, makeContext({ http }, { fence }));

  test.each(['post', 'put', 'patch', 'delete'])('by %s is not sent by an attempt that was given up', async (method) => {
    const server = await servers.http((_, response) => response.end());
    const failure = await failureOf(call(method, server.origin, fenceThat(false)));
    expect(failure.data).toMatchObject(GIVEN_UP);
    expect([failure.options.retryable, server.requests.length]).toEqual([true, 0]);
  });

  test('that only reads asks nobody', async () => {
    const server = await servers.http((_, response) => response.end());
    const fence = fenceThat(false);
    await call('get', server.origin, fence);
    expect([fence.asked, server.requests.length]).toEqual([0, 1]);
  });

  test('whose connection took long is asked about again, and sent once', async () => {
    const server = await servers.http((_, response) => response.end());
    let looks = 0;
    const fence = fenceThat(true);
    await call('post', server.origin, { ...fence, confirm: () => fence.confirm(), isFresh: () => ++looks > 1 });
    expect([fence.asked, looks, server.requests.length]).toEqual([2, 2, 1]);
    // The connection that was made for the first try.
    expect(server.connections()).toBe(1);
  });

  test('is not followed further by an attempt that was given up, and its outcome is unknown', async () => {
    const server = await servers.http((_, response) => response.writeHead(307, { location: '/next' }).end());
    let looks = 0;
    const fence = { ...fenceThat(true), isFresh: () => ++looks === 1 };
    const failure = await failureOf(call('post', server.origin, fence, { redirect: true }));
    expect(failure.data).toMatchObject({ code: 'BLW_STEP_OUTDATED', data: { outcome: 'unknown' } });
    expect([failure.options.retryable, server.requests.length]).toEqual([false, 1]);
  });
});

const binaries = findPostgresBinaries();

describe.each([
  ['SQLite', true],
  ['PostgreSQL', binaries !== undefined],
])('a write on %s', (kind, isThere) => {
  const onServer = isThere ? test : test.skip;
  const blobs = useBlobStore();
  let server: TestPostgres | undefined;
  let database: SqlDatabase;
  let file: string;

  beforeAll(async () => {
    if (kind === 'PostgreSQL' && binaries !== undefined) server = await startPostgres(binaries);
  }, 60_000);
  afterAll(() => server?.stop());
  beforeEach(async () => {
    file = join(blobs.root, `${randomUUID()}.db`);
    const create = 'CREATE TABLE items (name text)';
    if (server !== undefined) {
      database = openPostgresDatabase({ name: 'shop', url: server.url });
      const admin = new pg.Client({ connectionString: server.url });
      await admin.connect();
      await admin.query(`DROP TABLE IF EXISTS items; ${create}`);
      await admin.end();
    } else {
      database = openSqliteDatabase({ name: 'shop', file });
      new Sqlite(file).exec(create).close();
    }
  });
  afterEach(() => database.close());

  const limits = (fence?: Fence) => ({
    signal: never,
    deadline: Date.now() + 10_000,
    ...(fence === undefined ? {} : { fence }),
  });
  const insert = { statement: "INSERT INTO items VALUES ('pen')" };
  const count = async () => {
    const { rows } = await database.query({ statement: 'SELECT count(*) AS n FROM items' }, 1, limits());
    return rows[0]?.n;
  };

  onServer('is rolled back where its attempt is given up before the COMMIT', async () => {
    const record = { id: randomUUID(), step: 'k' };
    const refused = database.execute(
      insert,
      limits(kind === 'SQLite' ? fenceThat(true, false) : fenceThat(false)),
      record,
    );
    expect((await failureOf(refused)).data).toMatchObject(GIVEN_UP);
    expect(await count()).toBe(0);
    // The record went with it.
    expect(await database.execute(insert, limits(fenceThat(true)), record)).toMatchObject({ rowsAffected: 1 });
    expect(await count()).toBe(1);
  });

  onServer('holds up others of its process while it asks, and mixes with none', async () => {
    const both = [fenceThat(true), fenceThat(true, false)].map((fence) => database.execute(insert, limits(fence)));
    const outcomes = await Promise.allSettled(both);
    const expected = kind === 'SQLite' ? ['fulfilled', 'rejected'] : ['fulfilled', 'fulfilled'];
    expect(outcomes.map(({ status }) => status)).toEqual(expected);
    expect(await count()).toBe(expected.filter((status) => status === 'fulfilled').length);
  });
});

describe('a blob', () => {
  const blobs = useBlobStore();

  test.each([
    ['before it waits for its turn', [false]],
    ['while it waited', [true, false]],
  ])('is not put by an attempt that was given up %s', async (_, answers) => {
    await blobs.store.put(TENANT, 'a', Readable.from(['old']));
    const put = blobs.store.put(TENANT, 'a', Readable.from(['new']), { fence: fenceThat(...answers) });
    expect((await failureOf(put)).data).toMatchObject(GIVEN_UP);
    expect(await blobs.contentOf('a')).toBe('old');
    expect(await blobs.temporaryFiles()).toEqual([]);
  });

  test.each([[[false]], [[true, false]]])('is not deleted by one either (%j)', async (answers) => {
    await blobs.store.put(TENANT, 'a', Readable.from(['old']));
    const context = makeContext({ blobs: blobs.store }, { step: { tenant: TENANT }, fence: fenceThat(...answers) });
    expect((await failureOf(fsDelete({ path: 'a' }, context))).data).toMatchObject(GIVEN_UP);
    expect(await blobs.contentOf('a')).toBe('old');
  });
});
