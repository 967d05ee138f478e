import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BlockFailure } from '../../src/activities/block-failure';
import type { FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { bytes, filesUnder, sha256, summary, TENANT, useBlobStore } from '../helpers/blob-store-fixture';

const blobs = useBlobStore();

describe('put and read', () => {
  test('stores bytes and streams with their size, hash and media type', async () => {
    const before = Date.now();
    const info = await blobs.store.put(TENANT, 'a/b.txt', bytes('grüße'), { contentType: 'text/plain' });
    expect(info).toEqual({
      path: 'a/b.txt',
      size: 7,
      sha256: sha256('grüße'),
      contentType: 'text/plain',
      modifiedAt: expect.any(Date) as Date,
    });
    expect(info.modifiedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(await blobs.store.stat(TENANT, 'a/b.txt')).toEqual(info);
    expect(await blobs.store.read(TENANT, 'a/b.txt', 7)).toEqual({ info, content: bytes('grüße') });
    await blobs.store.put(TENANT, 'stream', Readable.from([bytes('one '), 'two ', bytes('three')]));
    expect(await blobs.contentOf('stream')).toBe('one two three');
    await blobs.store.put(TENANT, 'empty', new Uint8Array());
    await blobs.store.put(TENANT, 'empty stream', Readable.from([]));
    expect([await blobs.contentOf('empty'), await blobs.contentOf('empty stream')]).toEqual(['', '']);
    expect(await blobs.temporaryFiles()).toEqual([]);
  });

  test('answers undefined where there is no blob, and false for its deletion', async () => {
    expect(await blobs.store.stat(TENANT, 'a')).toBeUndefined();
    expect(await blobs.store.read(TENANT, 'a', 1)).toBeUndefined();
    expect(await blobs.store.delete(TENANT, 'a')).toBe(false);
    expect(await blobs.store.list(TENANT, { prefix: 'a/b/', limit: 1 })).toEqual({ entries: [] });
    await blobs.store.put(TENANT, 'a/b', bytes('x'));
    expect(await blobs.store.stat(TENANT, 'a')).toBeUndefined();
    expect(await blobs.store.stat(TENANT, 'a/b/c')).toBeUndefined();
  });

  test('keeps its files from other users', async () => {
    await blobs.store.put(TENANT, 'a/b', bytes('secret'));
    for (const file of await filesUnder(blobs.root)) expect((await stat(file)).mode & 0o077).toBe(0);
    for (const folder of [blobs.root, join(blobs.root, 'acme=t'), dirname(blobs.pointerFile('a/b'))]) {
      expect((await stat(folder)).mode & 0o077).toBe(0);
    }
  });

  test('keeps the same content once', async () => {
    await blobs.store.put(TENANT, 'a', bytes('same'));
    await blobs.store.put(TENANT, 'b', bytes('same'));
    expect(await blobs.objectFiles()).toEqual([blobs.objectFile('same')]);
  });

  test('does not read more than was allowed', async () => {
    await blobs.store.put(TENANT, 'a', bytes('12345'));
    const failure = await blobs.failureOf(blobs.store.read(TENANT, 'a', 4));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_TOO_LARGE', retryable: false });
    expect(failure.message).toBe('Blob "a" has 5 bytes, expected at most 4. Pass its path instead of its content.');
  });

  test('reads a stream no faster than it writes', async () => {
    const chunk = randomBytes(1 << 20);
    let given = 0;
    let farthest = 0;
    const source = new Readable({
      highWaterMark: 1 << 20,
      read() {
        given += 1;
        this.push(given <= 64 ? chunk : null);
      },
    });
    const info = await blobs.store.put(TENANT, 'large', source, {
      onProgress: (written) => {
        farthest = Math.max(farthest, given - written / chunk.length);
      },
    });
    expect(info.size).toBe(64 << 20);
    expect(farthest).toBeLessThanOrEqual(4);
  });

  test('reports progress by the bytes written so far', async () => {
    const seen: number[] = [];
    const onProgress = (written: number) => seen.push(written);
    await blobs.store.put(TENANT, 'a', Readable.from([bytes('12'), bytes('345')]), { onProgress });
    expect(seen).toEqual([2, 5]);
  });

  test('takes an expected hash in any case and a size that is just met', async () => {
    const options = { expectedSha256: sha256('abc').toUpperCase(), maxBytes: 3 };
    await blobs.store.put(TENANT, 'a', Readable.from([bytes('abc')]), options);
    expect(await blobs.contentOf('a')).toBe('abc');
  });

  test.each([
    ['a stream', () => Readable.from([bytes('ab'), bytes('cd')])],
    ['bytes', () => bytes('abcd')],
  ])('leaves nothing behind of %s that breaks a rule', async (_, source) => {
    await blobs.store.put(TENANT, 'a', bytes('old'));
    const tooLarge = await blobs.failureOf(blobs.store.put(TENANT, 'a', source(), { maxBytes: 3 }));
    expect(summary(tooLarge)).toEqual({ code: 'BLW_HTTP_TOO_LARGE', retryable: false });
    const otherHash = await blobs.failureOf(blobs.store.put(TENANT, 'a', source(), { expectedSha256: sha256('x') }));
    expect(summary(otherHash)).toEqual({ code: 'BLW_HTTP_CHECKSUM', retryable: false });
    const other = await blobs.failureOf(blobs.store.put(TENANT, 'a', source(), { ifMatch: 'none' }));
    expect(summary(other)).toEqual({ code: 'BLW_FS_PRECONDITION', retryable: false });
    expect(await blobs.contentOf('a')).toBe('old');
    expect(await blobs.temporaryFiles()).toEqual([]);
    expect(await blobs.objectFiles()).toEqual([blobs.objectFile('old')]);
  });

  test('throws the error of the source as it is and leaves nothing behind', async () => {
    const lost = Object.assign(new Error('connection lost'), { code: 'ECONNRESET', syscall: 'read' });
    const source = Readable.from(
      (async function* () {
        yield bytes('half');
        await nextTurn();
        throw lost;
      })(),
    );
    await expect(blobs.store.put(TENANT, 'a', source)).rejects.toBe(lost);
    expect(await blobs.store.stat(TENANT, 'a')).toBeUndefined();
    expect([...(await blobs.temporaryFiles()), ...(await blobs.objectFiles())]).toEqual([]);
  });

  test('stops on abort while the source is silent, throws the reason and leaves nothing behind', async () => {
    const source = new PassThrough();
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const put = blobs.store.put(TENANT, 'a', source, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    source.write('half');
    await expect(put).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    expect(await blobs.store.stat(TENANT, 'a')).toBeUndefined();
    expect([...(await blobs.temporaryFiles()), ...(await blobs.objectFiles())]).toEqual([]);
  });

  test('does not begin after an abort, and ends the source', async () => {
    const source = new PassThrough();
    const reason = new Error('cancelled');
    await expect(blobs.store.put(TENANT, 'a', source, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    await expect(blobs.store.put(TENANT, 'a', bytes('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test.each([
    ['a bad path', '../a', {}],
    ['a precondition that fails', 'a', { ifMatch: sha256('x') }],
  ])('ends the source without reading it on %s', async (_, path, options) => {
    let reads = 0;
    const source = new Readable({
      read() {
        reads += 1;
      },
      destroy(_error, callback) {
        callback(new Error('ended early'));
      },
    });
    await blobs.failureOf(blobs.store.put(TENANT, path, source, options));
    expect([source.destroyed, reads]).toEqual([true, 0]);
  });
});

describe('preconditions', () => {
  test('writes only over the content that was named', async () => {
    const first = await blobs.store.put(TENANT, 'a', bytes('1'), { ifMatch: 'none' });
    await blobs.store.put(TENANT, 'a', bytes('2'), { ifMatch: first.sha256.toUpperCase() });
    const failure = await blobs.failureOf(blobs.store.put(TENANT, 'a', bytes('3'), { ifMatch: first.sha256 }));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_PRECONDITION', retryable: false });
    expect(failure.data.data).toEqual({ expected: sha256('1'), actual: sha256('2') });
    expect(failure.message).toBe(
      `Blob "a": its SHA-256 is ${sha256('2')}, expected SHA-256 ${sha256('1')}; nothing was written. Read it again and decide.`,
    );
    const gone = await blobs.failureOf(blobs.store.put(TENANT, 'b', bytes('3'), { ifMatch: first.sha256 }));
    expect(gone.data.data).toEqual({ expected: sha256('1'), actual: 'none' });
    expect(await blobs.contentOf('a')).toBe('2');
  });

  test.each(['none', 'its hash'])('lets exactly one of many win on %s, over two stores', async (kind) => {
    const stores = [blobs.store, await blobs.open()];
    for (let round = 0; round < 5; round++) {
      const path = `${kind}/${round}`;
      const ifMatch = kind === 'none' ? 'none' : (await blobs.store.put(TENANT, path, bytes('old'))).sha256;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          (stores[index % 2] ?? blobs.store).put(TENANT, path, bytes(`from ${index}`), { ifMatch }),
        ),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(await blobs.contentOf(path)).toBe(`from ${winners[0]}`);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason.data.code).toBe('BLW_FS_PRECONDITION');
      }
    }
  });

  test('loses no update of a counter that many raise at once over two stores', async () => {
    const stores = [blobs.store, await blobs.open()];
    await blobs.store.put(TENANT, 'counter', bytes('0'));
    const raise = async (from: FileBlobStore): Promise<void> => {
      const current = await from.read(TENANT, 'counter', 100);
      if (current === undefined) throw new Error('the counter is gone');
      const next = bytes(String(Number(current.content.toString()) + 1));
      try {
        await from.put(TENANT, 'counter', next, { ifMatch: current.info.sha256 });
      } catch (error) {
        if (!(error instanceof BlockFailure) || error.data.code !== 'BLW_FS_PRECONDITION') throw error;
        await raise(from);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => raise(stores[index % 2] ?? blobs.store)));
    expect(await blobs.contentOf('counter')).toBe('16');
  });
});

describe('delete', () => {
  test('removes the blob and the folders that became empty, and no others', async () => {
    await blobs.store.put(TENANT, 'a/b/c', bytes('1'));
    await blobs.store.put(TENANT, 'a/x', bytes('2'));
    expect(await blobs.store.delete(TENANT, 'a/b/c')).toBe(true);
    expect(await blobs.store.stat(TENANT, 'a/b/c')).toBeUndefined();
    expect(await readdir(join(blobs.root, 'acme=t', 'blobs', 'a=d'))).toEqual(['x=b']);
    expect(await blobs.store.delete(TENANT, 'a/x')).toBe(true);
    expect(await readdir(join(blobs.root, 'acme=t', 'blobs'))).toEqual([]);
  });

  test('is true for exactly one of many, over two stores', async () => {
    const stores = [blobs.store, await blobs.open()];
    await blobs.store.put(TENANT, 'a', bytes('x'));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (stores[index % 2] ?? blobs.store).delete(TENANT, 'a')),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  test('does not make puts in the same folder fail', async () => {
    const another = await blobs.open();
    await Promise.all(
      [blobs.store, another].flatMap((from) =>
        Array.from({ length: 40 }, async (_, index) => {
          const path = `a/b/${index % 3}`;
          await (index % 2 === 0 ? from.put(TENANT, path, bytes('x')) : from.delete(TENANT, path));
        }),
      ),
    );
    await blobs.store.put(TENANT, 'a/b/c', bytes('last'));
    expect(await blobs.contentOf('a/b/c')).toBe('last');
  });

  test('tells a retry that its own step did it, and spares what was put since', async () => {
    const key = { idempotencyKey: 'acme:flow:/do/0/drop' };
    await blobs.store.put(TENANT, 'a', bytes('x'));
    expect(await blobs.store.delete(TENANT, 'a', { ...key, isRetry: false })).toBe(true);
    expect(await blobs.store.delete(TENANT, 'a', { ...key, isRetry: true })).toBe(true);
    expect(await blobs.store.delete(TENANT, 'b', { ...key, isRetry: true })).toBe(false);
    expect(await blobs.store.delete(TENANT, 'a', { idempotencyKey: 'another', isRetry: true })).toBe(false);
    await blobs.store.put(TENANT, 'a', bytes('new'));
    expect(await blobs.store.delete(TENANT, 'a', { ...key, isRetry: true })).toBe(true);
    expect(await blobs.contentOf('a')).toBe('new');
    expect(await blobs.store.delete(TENANT, 'a', { ...key, isRetry: false })).toBe(true);
    expect(await blobs.store.stat(TENANT, 'a')).toBeUndefined();
  });

  describe('for the attempts of one step', () => {
    const execution = 'run:1';

    test('puts once, and gives the late one what the first gave', async () => {
      const first = await blobs.store.put(TENANT, 'a', bytes('mine'), { execution });
      expect(await blobs.store.put(TENANT, 'a', bytes('mine'), { execution })).toEqual(first);
      expect(first).not.toHaveProperty('writer');
      expect(await blobs.store.stat(TENANT, 'a')).toEqual(first);
    });

    test.each<[string, () => Promise<unknown>, string | undefined]>([
      ['overwritten by a step', () => blobs.store.put(TENANT, 'a', bytes('new'), { execution: 'run:2' }), 'new'],
      ['overwritten by somebody', () => blobs.store.put(TENANT, 'a', bytes('new')), 'new'],
      ['deleted by a step', () => blobs.store.delete(TENANT, 'a', { idempotencyKey: 'k' }), undefined],
      ['deleted by somebody', () => blobs.store.delete(TENANT, 'a'), undefined],
    ])('a late put leaves alone what was %s since', async (_how, change, expected) => {
      const first = await blobs.store.put(TENANT, 'a', bytes('mine'), { execution, ifMatch: 'none' });
      await change();
      expect(await blobs.store.put(TENANT, 'a', bytes('mine'), { execution, ifMatch: 'none' })).toEqual(first);
      expect(await blobs.store.stat(TENANT, 'a')).toEqual(
        expected === undefined ? undefined : expect.objectContaining({ size: expected.length }),
      );
    });

    test('a put that is under way while another attempt is through leaves alone what was put since', async () => {
      const source = new PassThrough();
      const late = blobs.store.put(TENANT, 'a', source, { execution });
      source.write('mi');
      const first = await blobs.store.put(TENANT, 'a', bytes('mine'), { execution });
      await blobs.store.put(TENANT, 'a', bytes('new'), { execution: 'run:2' });
      source.end('ne');
      expect(await late).toEqual(first);
      expect(await blobs.contentOf('a')).toBe('new');
    });

    test('a put of another run of the step, or at another path, is done', async () => {
      await blobs.store.put(TENANT, 'a', bytes('one'), { execution });
      await blobs.store.put(TENANT, 'b', bytes('two'), { execution });
      await blobs.store.put(TENANT, 'a', bytes('three'), { execution: 'run:2' });
      expect([await blobs.contentOf('a'), await blobs.contentOf('b')]).toEqual(['three', 'two']);
    });

    test('a put that was cut off between keeping the old pointer and moving the new one is done again', async () => {
      await blobs.store.put(TENANT, 'a', bytes('old'), { execution });
      const pointer = join(blobs.root, 'acme=t', 'blobs', 'a=b');
      const before = readFileSync(pointer);
      await blobs.store.put(TENANT, 'a', bytes('new'), { execution: 'run:2' });
      // As after a crash: the old pointer is kept already, and still in its place.
      writeFileSync(pointer, before);
      await blobs.store.put(TENANT, 'a', bytes('new'), { execution: 'run:2' });
      expect(await blobs.contentOf('a')).toBe('new');
      expect(await blobs.store.put(TENANT, 'a', bytes('old'), { execution })).toMatchObject({ size: 3 });
      expect(await blobs.contentOf('a')).toBe('new');
    });
  });

  test('does not claim for a retry what another step deleted', async () => {
    await blobs.store.put(TENANT, 'a', bytes('x'));
    expect(await blobs.store.delete(TENANT, 'a')).toBe(true);
    expect(await blobs.store.delete(TENANT, 'a', { idempotencyKey: 'mine', isRetry: true })).toBe(false);
  });
});
