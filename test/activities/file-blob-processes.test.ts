import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openStoreLock } from '../../src/activities/ports/blob-lock';
import { bytes, TENANT, useBlobStore } from '../helpers/blob-store-fixture';
import { type Compiled, compileSources } from '../helpers/compiled';

const blobs = useBlobStore();

describe('the lock', () => {
  test('lets one in at a time, in order, also over two handles', async () => {
    const locks = [openStoreLock(join(blobs.root, 'lock.sqlite')), openStoreLock(join(blobs.root, 'lock.sqlite'))];
    let inside = 0;
    const seen: number[] = [];
    await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        (locks[index % 2] ?? locks[0])?.run(async () => {
          inside += 1;
          await nextTurn();
          expect(inside).toBe(1);
          inside -= 1;
          seen.push(index);
        }),
      ),
    );
    expect(seen.filter((index) => index % 2 === 0)).toEqual(Array.from({ length: 15 }, (_, index) => 2 * index));
    for (const lock of locks) lock.close();
  });

  test('is free again after work that failed, and may be left while waiting', async () => {
    const lock = openStoreLock(join(blobs.root, 'lock.sqlite'));
    const controller = new AbortController();
    let release = () => {};
    const first = lock.run(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    const left = lock.run(async () => 'never', controller.signal);
    const failing = lock.run(() => Promise.reject(new Error('failed')));
    controller.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    release();
    await first;
    await expect(failing).rejects.toThrow('failed');
    expect(await lock.run(async () => 'free')).toBe('free');
    lock.close();
  });
});

describe('several processes', () => {
  let compiled: Compiled;
  const children: ChildProcess[] = [];

  /** The store as JavaScript, for processes that have no test runner around them. */
  beforeAll(() => {
    compiled = compileSources();
  }, 120_000);

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  afterAll(() => compiled?.remove());

  function start(script: string): { child: ChildProcess; line: Promise<string> } {
    const child = spawn(process.execPath, ['-e', script, compiled.path('src/activities/ports'), blobs.root], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const exit = once(child, 'exit').then(([code]: unknown[]) => `ended with ${code}`);
    const line = once(child.stdout, 'data').then(([data]: Buffer[]) => String(data).trim());
    return { child, line: Promise.race([line, exit]) };
  }

  test('have exactly one winner among them', async () => {
    const script = `
      const [folder, root] = process.argv.slice(1);
      const { createFileBlobStore } = require(folder + '/file-blob-store.js');
      createFileBlobStore({ root }).then(async (store) => {
        const wins = [];
        for (let round = 0; round < 50; round++) {
          const content = Buffer.from(process.pid + ' in ' + round);
          await store.put('acme', 'race/' + round, content, { ifMatch: 'none' }).then(
            () => wins.push(round),
            (error) => { if (error.data?.code !== 'BLW_FS_PRECONDITION') throw error; },
          );
        }
        console.log(JSON.stringify({ pid: process.pid, wins }));
      });`;
    const lines = await Promise.all(Array.from({ length: 4 }, () => start(script).line));
    const results = lines.map((line) => JSON.parse(line) as { pid: number; wins: number[] });
    const wins = results.flatMap((result) => result.wins);
    expect(wins.sort((left, right) => left - right)).toEqual(Array.from({ length: 50 }, (_, round) => round));
    for (const { pid, wins } of results) {
      for (const round of wins) expect(await blobs.contentOf(`race/${round}`)).toBe(`${pid} in ${round}`);
    }
  });

  test('go on where one was killed that held the lock', async () => {
    const { child, line } = start(`
      const [folder, root] = process.argv.slice(1);
      const { openStoreLock } = require(folder + '/blob-lock.js');
      setInterval(() => {}, 1000);
      openStoreLock(root + '/lock.sqlite').run(() => new Promise(() => console.log('held')));`);
    expect(await line).toBe('held');
    let isSettled = false;
    const put = blobs.store.put(TENANT, 'a', bytes('x')).finally(() => {
      isSettled = true;
    });
    // The put has come as far as the lock once its content is in place.
    while ((await blobs.objectFiles()).length === 0) await nextTurn();
    const controller = new AbortController();
    const waiting = blobs.store.put(TENANT, 'b', bytes('x'), { signal: controller.signal });
    controller.abort(new Error('no longer wanted'));
    await expect(waiting).rejects.toThrow('no longer wanted');
    expect(isSettled).toBe(false);
    child.kill('SIGKILL');
    await put;
    expect(await blobs.contentOf('a')).toBe('x');
  });

  test('leave whole blobs and nothing else behind when they are killed at any time', async () => {
    const script = `
      const [folder, root] = process.argv.slice(1);
      const { createFileBlobStore } = require(folder + '/file-blob-store.js');
      createFileBlobStore({ root }).then(async (store) => {
        for (let round = 0; ; round++) {
          const content = String(round % 10).repeat(50_000);
          await store.put('acme', 'a/' + (round % 3), Buffer.from(content));
          if (round % 5 === 4) await store.delete('acme', 'a/' + (round % 3), { idempotencyKey: 'k' + round });
          if (round === 10) console.log('running');
        }
      });`;
    for (let round = 0; round < 5; round++) {
      const { child, line } = start(script);
      await line;
      for (let turn = 0; turn < round * 37; turn++) await nextTurn();
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { entries } = await blobs.store.list(TENANT, { prefix: '', limit: 10 });
      for (const { path } of entries) expect(await blobs.contentOf(path)).toMatch(/^(\d)\1{49999}$/);
    }
    await blobs.store.sweep({ graceMs: 0 });
    const { entries } = await blobs.store.list(TENANT, { prefix: '', limit: 10 });
    const referenced = new Set(entries.map((entry) => entry.sha256));
    expect(await blobs.temporaryFiles()).toEqual([]);
    expect(await blobs.objectFiles()).toHaveLength(referenced.size);
  });
});
