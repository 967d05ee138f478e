import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Compiled, compileSources } from '../helpers/compiled';
import { makeFailingDisk } from '../helpers/failing-disk';

const disk = makeFailingDisk();
const describeWithDisk = disk === undefined ? describe.skip : describe;
const suffix = disk === undefined ? ' (skipped: it takes Linux and a C compiler)' : '';
const folder = disk?.folder ?? '';
let compiled: Compiled;

beforeAll(() => {
  compiled = compileSources();
  mkdirSync(folder, { recursive: true });
}, 120_000);
afterAll(() => {
  compiled?.remove();
  disk?.remove();
});

const load = (file: string): string => `require(${JSON.stringify(compiled.path(file))})`;

/** What became of the attempt of which the nth operation failed, and of the next one, on a disk that is well again. */
interface Outcome {
  readonly n: number;
  readonly failure?: { readonly code: string; readonly retryable: boolean; readonly detail: string };
  readonly after: string;
  readonly next: string;
  readonly atLast: string;
}

/** More operations than any attempt has. */
const MOST = 200;

/** Lets one operation after the other fail, until an attempt has none left that could. `attempt` gives what it did, `look` what is there. */
const oneByOne = (
  code: string,
  { before, attempt, look }: { before: string; attempt: string; look: string },
): string => `
  const outcomes = [];
  for (let n = 1; n < ${MOST}; n += 1) {
    ${before}
    const attempt = async () => { ${attempt} };
    const look = async () => { ${look} };
    const outcome = { n };
    fail(n, ${JSON.stringify(code)});
    try {
      await attempt();
    } catch (error) {
      outcome.failure = { code: error.data?.code ?? error.name, retryable: error.options?.retryable ?? null, detail: error.message };
    }
    const isThrough = left() > 0;
    fail(0);
    outcome.after = await look();
    outcome.next = await attempt().then(() => 'done', (error) => error.message);
    outcome.atLast = await look();
    if (isThrough) return outcomes;
    outcomes.push(outcome);
  }
  throw new Error('more operations than that');
`;

/** What must not be, in words. */
const wrong = (outcomes: readonly Outcome[], isRight: (outcome: Outcome) => boolean): Outcome[] =>
  outcomes.filter((outcome) => !isRight(outcome) || outcome.next !== 'done');

const isNamed = ({ failure }: Outcome, codes: readonly string[]): boolean =>
  failure === undefined || (codes.includes(failure.code) && failure.retryable === true);

describeWithDisk(`a disk of which one operation fails${suffix}`, () => {
  test.each(['EIO', 'ENOSPC'])('leaves a blob as it was or as it should be: %s', (code) => {
    const root = join(folder, `blobs-${code}`);
    const outcomes = disk?.run(`
      const { createFileBlobStore } = ${load('src/activities/ports/file-blob-store.js')};
      const { Readable } = require('node:stream');
      const store = await createFileBlobStore({ root: ${JSON.stringify(root)} });
      const bytes = (n, half) => Buffer.alloc(200000, 'new' + n + half);
      ${oneByOne(code, {
        before: `await store.put('acme', 'a', Buffer.from('old'));`,
        attempt: `await store.put('acme', 'a', Readable.from([bytes(n, 'a'), bytes(n, 'b')]), { execution: 'run' + n });`,
        look: `
          const { content } = await store.read('acme', 'a', 1e6);
          return content.equals(Buffer.concat([bytes(n, 'a'), bytes(n, 'b')])) ? 'new' : content.toString('latin1', 0, 10);`,
      })}`) as Outcome[];
    // Content, its folder, pointer, folders: each is written and made durable.
    expect(outcomes.length).toBeGreaterThan(10);
    expect(outcomes.filter(({ failure }) => failure !== undefined).length).toBeGreaterThan(10);
    const isRight = (outcome: Outcome): boolean =>
      isNamed(outcome, ['BLW_FS_IO']) &&
      (outcome.failure === undefined || outcome.failure.detail.includes(code)) &&
      // An acknowledged one is there; one that failed may be there, where it was the folder that was not made durable.
      (outcome.failure === undefined ? ['new'] : ['old', 'new']).includes(outcome.after) &&
      outcome.atLast === 'new';
    expect(wrong(outcomes, isRight)).toEqual([]);
  });

  test.each(['EIO', 'ENOSPC'])('leaves a deleted blob deleted, or as it was: %s', (code) => {
    const root = join(folder, `deleted-${code}`);
    const outcomes = disk?.run(`
      const { createFileBlobStore } = ${load('src/activities/ports/file-blob-store.js')};
      const store = await createFileBlobStore({ root: ${JSON.stringify(root)} });
      ${oneByOne(code, {
        before: `await store.put('acme', 'x/a', Buffer.from('old'));`,
        attempt: `if (!(await store.delete('acme', 'x/a', { idempotencyKey: 'k' + n, isRetry: true }))) throw new Error('there was none');`,
        look: `return (await store.stat('acme', 'x/a')) === undefined ? 'gone' : 'there';`,
      })}`) as Outcome[];
    // The move, and folders that do not last.
    expect(outcomes.length).toBeGreaterThan(2);
    const isRight = (outcome: Outcome): boolean =>
      isNamed(outcome, ['BLW_FS_IO']) &&
      (outcome.failure !== undefined || outcome.after === 'gone') &&
      outcome.atLast === 'gone';
    expect(wrong(outcomes, isRight)).toEqual([]);
  });

  test.each(['EIO', 'ENOSPC'])('leaves a SQLite database without what failed, or with it once: %s', (code) => {
    const file = join(folder, `shop-${code}.db`);
    const outcomes = disk?.run(`
      const { openSqliteDatabase } = ${load('src/activities/ports/sqlite-database.js')};
      const limits = () => ({ signal: new AbortController().signal, deadline: Date.now() + 10000 });
      const open = () => openSqliteDatabase({ name: 'shop', file: ${JSON.stringify(file)} });
      let database = open();
      await database.execute({ statement: 'CREATE TABLE items (n INTEGER, data BLOB)' }, limits());
      ${oneByOne(code, {
        // From the opening of the file on, as a new process of a block does it.
        before: `await database.close(); database = open();`,
        attempt: `await database.execute({ statement: 'INSERT INTO items VALUES (?, zeroblob(20000))', parameters: [n] }, limits(), { id: 'id' + n, step: 'k' });`,
        look: `return String((await database.query({ statement: 'SELECT count(*) AS c FROM items WHERE n = ?', parameters: [n] }, 1, limits())).rows[0].c);`,
      })}`) as Outcome[];
    expect(outcomes.length).toBeGreaterThan(5);
    const isRight = (outcome: Outcome): boolean =>
      isNamed(outcome, ['BLW_SQL_FAILED', 'BLW_SQL_UNAVAILABLE']) &&
      (outcome.failure !== undefined || outcome.after === '1') &&
      outcome.atLast === '1';
    expect(wrong(outcomes, isRight)).toEqual([]);
  });

  test.each(['EIO', 'ENOSPC'])(
    'makes the state store say that it cannot be used, and no longer than it lasts: %s',
    (code) => {
      const file = join(folder, `state-${code}.db`);
      const outcomes = disk?.run(`
      const { openSqliteStore } = ${load('src/worker/state/sqlite-store.js')};
      let store = openSqliteStore(${JSON.stringify(file)});
      const add = (n) => function* () {
        yield { sql: 'CREATE TABLE IF NOT EXISTS notes (n INTEGER PRIMARY KEY, data BLOB)', values: [] };
        yield { sql: 'INSERT OR REPLACE INTO notes VALUES (?, zeroblob(20000))', values: [n] };
      };
      const count = (n) => function* () {
        return (yield { sql: 'SELECT count(*) AS c FROM notes WHERE n = ?', values: [n] })[0].c;
      };
      await store.run(add(0));
      ${oneByOne(code, {
        before: `await store.close(); store = openSqliteStore(${JSON.stringify(file)});`,
        attempt: `await store.run(add(n));`,
        look: `return String(await store.run(count(n)));`,
      })}`) as Outcome[];
      expect(outcomes.length).toBeGreaterThan(2);
      const isRight = ({ failure, after, atLast }: Outcome): boolean =>
        (failure === undefined ? after === '1' : failure.code === 'StateStoreUnavailable') && atLast === '1';
      expect(wrong(outcomes, isRight)).toEqual([]);
    },
  );
});
