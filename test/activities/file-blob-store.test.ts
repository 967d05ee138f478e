import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { transformFile } from '@swc/core';
import fc from 'fast-check';
import { BlockFailure } from '../../src/activities/block-failure';
import { guardIo } from '../../src/activities/ports/blob-io';
import { openStoreLock } from '../../src/activities/ports/blob-lock';
import { decodeTreeName, encodeBlob, encodeTenant, parseBlobPath } from '../../src/activities/ports/blob-path';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { failureOf as blockFailureOf } from '../helpers/block-context';

const TENANT = 'acme';
const HOUR_MS = 3_600_000;
const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const bytes = (text: string) => Buffer.from(text, 'utf8');

let base: string;
let root: string;
let store: FileBlobStore;
const opened: FileBlobStore[] = [];

async function open(at = root): Promise<FileBlobStore> {
  const another = await createFileBlobStore({ root: at });
  opened.push(another);
  return another;
}

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'blobs-')));
  root = join(base, 'root');
  store = await open();
});

afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  await rm(base, { recursive: true, force: true });
});

/** The failure, which must not tell where the store lies. */
async function failureOf(work: Promise<unknown>): Promise<BlockFailure> {
  const failure = await blockFailureOf(work);
  expect(failure.message).not.toContain(root);
  return failure;
}

/** A text for the name of a test. */
const shown = (text: string) => JSON.stringify(text.length > 30 ? `${text.slice(0, 10)}… (${text.length})` : text);

const summary = (failure: BlockFailure) => ({ code: failure.data.code, retryable: failure.options.retryable });

async function filesUnder(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return found.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

const temporaryFiles = () => filesUnder(join(root, 'acme=t', 'temporary'));
const objectFiles = () => filesUnder(join(root, 'acme=t', 'objects'));
const objectFile = (content: string) => join(root, 'acme=t', 'objects', sha256(content).slice(0, 2), sha256(content));
const pointerFile = (path: string) => join(root, 'acme=t', 'blobs', ...encodeBlob(parseBlobPath(path)));

async function contentOf(path: string, from = store): Promise<string | undefined> {
  return (await from.read(TENANT, path, 1 << 26))?.content.toString('utf8');
}

describe('blob paths', () => {
  test.each(
    [
      ['', 'it is empty'],
      ['/', 'segment 1 is empty'],
      ['/etc/passwd', 'segment 1 is empty'],
      ['a/', 'segment 2 is empty'],
      ['a//b', 'segment 2 is empty'],
      ['.', 'segment 1 is .;'],
      ['..', 'segment 1 is ..;'],
      ['../x', 'segment 1 is ..;'],
      ['a/../b', 'segment 2 is ..;'],
      ['a/./b', 'segment 2 is .;'],
      ['a/..', 'segment 2 is ..;'],
      ['a\\b', 'a backslash'],
      ['..\\x', 'a backslash'],
      ['C:\\x', 'a backslash'],
      ['a\0b', 'a control character'],
      ['a\nb', 'a control character'],
      ['a\x7f', 'a control character'],
      ['a\u0085', 'a control character'],
      ['a\ud800', 'half of a surrogate pair'],
      ['\udc00/b', 'half of a surrogate pair'],
      ['a'.repeat(1025), 'it has 1025 bytes'],
      ['é'.repeat(513), 'it has 1026 bytes'],
    ].map(([path = '', reason = '']) => [shown(path), path, reason] as const),
  )('refuses the path %s', async (_, path, reason) => {
    for (const work of [
      store.put(TENANT, path, bytes('x')),
      store.stat(TENANT, path),
      store.read(TENANT, path, 10),
      store.delete(TENANT, path),
    ]) {
      const failure = await failureOf(work);
      expect(summary(failure)).toEqual({ code: 'BLW_FS_PATH', retryable: false });
      expect(failure.message).toContain(reason);
    }
    expect(await filesUnder(root)).toEqual([join(root, 'lock.sqlite')]);
  });

  test('keeps blobs apart whose paths a file system might take for one, or for a special one', async () => {
    const paths = [
      ...[
        'a',
        'A',
        'a/b',
        'a/b/c',
        'a=b',
        'a=b/c',
        'a=d/x',
        'a%2fb',
        '%2e%2e',
        '%2e%2e/x',
        '%00',
        '...',
        '.a',
        'a.',
        'a ',
      ],
      ...[
        'con',
        'con.txt',
        'CON.txt',
        'nul',
        'aux.b',
        'com1.x',
        'lpt9.x.y',
        'a:b',
        'C:',
        'a*?"<>|',
        '~',
        '~/x',
        ' ',
        '-',
      ],
      ...['é', 'e\u0301', 'ﬁ', '漢字', '😀', '\uff0e\uff0e/x', '．．', '‮', 'x'.repeat(1024), 'X'.repeat(1024)],
      ...['漢'.repeat(341), '😀'.repeat(256), 'é/'.repeat(341).slice(0, -1), 'A/'.repeat(512).slice(0, -1)],
      ...[
        'con.'.repeat(200),
        `${'y'.repeat(180)}`,
        `${'y'.repeat(180)}/z`,
        `${'y'.repeat(181)}`,
        'constructor',
        '__proto__',
      ],
    ];
    for (const path of paths) await store.put(TENANT, path, bytes(`content of ${path}`));
    for (const path of paths) expect(await contentOf(path)).toBe(`content of ${path}`);
    const { entries } = await store.list(TENANT, { prefix: '', limit: 1000 });
    expect(entries.map((entry) => entry.path)).toEqual([...paths].sort());
    for (const file of await filesUnder(root)) expect(file.slice(root.length)).toMatch(/^[a-z0-9_.%=/-]+$/);
  });

  const anySegment = fc
    .string({
      unit: fc.constantFrom(...'aAzZ09.-_%= ~:', 'é', '漢', '\uff00', '😀', 'con', 'y'.repeat(60)),
      minLength: 1,
      maxLength: 12,
    })
    .filter((segment) => segment !== '.' && segment !== '..');
  const anyPath = fc
    .array(anySegment, { minLength: 1, maxLength: 5 })
    .map((segments) => segments.join('/'))
    .filter((path) => Buffer.byteLength(path) <= 1024);

  test('encodes every path into short, plain names that decode to it again', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const names = encodeBlob(parseBlobPath(path));
        const texts = names.map((name) => {
          expect(name).toMatch(/^[a-z0-9_.%-]{0,200}=[bcd]$/);
          expect(name).not.toMatch(/^(con|nul|prn|aux)\./);
          const decoded = decodeTreeName(name);
          return `${decoded?.text}${decoded?.kind === 'folder' ? '/' : ''}`;
        });
        expect(texts.join('')).toBe(path);
      }),
    );
  });

  test.each(['x', 'X=b', '%41=b2', '%4=b', '%C3=b', '%ff=b', '%61=b', 'a=e', '.git', '=', 'con.x=b'])(
    'does not take the foreign name %j for one of its own',
    (name) => {
      expect(decodeTreeName(name)).toBeUndefined();
    },
  );

  test('lists by code unit, prefix and page exactly as a sorted array would', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyPath, { minLength: 1, maxLength: 14 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        fc.nat(),
        async (paths, limit, pick, cut) => {
          const tenant = `tenant ${round++}`;
          await Promise.all(paths.map((path) => store.put(tenant, path, bytes(path))));
          const prefix = (paths[pick % paths.length] ?? '').slice(0, cut % 8).replace(/\p{Cs}$/u, '');
          const listed: string[] = [];
          let after: string | undefined;
          do {
            const page = await store.list(tenant, { prefix, limit, ...(after === undefined ? {} : { after }) });
            expect(page.entries.length).toBeLessThanOrEqual(limit);
            listed.push(...page.entries.map((entry) => entry.path));
            after = page.next;
          } while (after !== undefined);
          expect(listed).toEqual(paths.filter((path) => path.startsWith(prefix)).sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  test('goes on after any text, whether or not a blob has it as its path', async () => {
    const paths = ['a', 'a-b', 'a/b', 'a/c/d', 'a0', 'b'];
    for (const path of paths) await store.put(TENANT, path, bytes('x'));
    for (const after of ['', 'a', 'a/', 'a/b', 'a/bb', 'a/c', 'a/c/d', 'a/z', 'a0', 'zzz', '/', '..']) {
      const { entries } = await store.list(TENANT, { prefix: '', limit: 10, after });
      expect(entries.map((entry) => entry.path)).toEqual(paths.filter((path) => path > after));
    }
  });

  test('reads only the folders that a prefix leads to', async () => {
    await store.put(TENANT, 'wanted/x', bytes('x'));
    await store.put(TENANT, 'other/y', bytes('y'));
    await writeFile(pointerFile('other/y'), 'not a pointer');
    await writeFile(join(dirname(pointerFile('wanted/x')), 'README'), 'a foreign file');
    const { entries, next } = await store.list(TENANT, { prefix: 'wanted/', limit: 10 });
    expect(entries).toEqual([{ path: 'wanted/x', size: 1, sha256: sha256('x'), modifiedAt: expect.any(Date) as Date }]);
    expect(next).toBeUndefined();
    expect(summary(await failureOf(store.list(TENANT, { prefix: 'o', limit: 10 }))).code).toBe('BLW_FS_IO');
  });

  test.each(
    ['/', '../', 'a/../b', 'a//', 'a\\', 'a\0', 'x'.repeat(1025)].map((prefix) => [shown(prefix), prefix] as const),
  )('refuses the prefix %s', async (_, prefix) => {
    expect(summary(await failureOf(store.list(TENANT, { prefix, limit: 1 })))).toEqual({
      code: 'BLW_FS_PATH',
      retryable: false,
    });
  });

  test.each(
    ['..', '.', '/', '../acme', 'ACME', 'Acme', 'con', 'a\0b', 'x'.repeat(300), 'X'.repeat(300), 'ä', 'acme=t'].map(
      (tenant) => [shown(tenant), tenant] as const,
    ),
  )('gives the tenant %s a space of its own', async (_, tenant) => {
    await store.put(TENANT, 'a', bytes('ours'));
    await store.put(tenant, 'a', bytes('theirs'));
    expect(await contentOf('a')).toBe('ours');
    expect((await store.read(tenant, 'a', 100))?.content.toString()).toBe('theirs');
    expect((await store.list(tenant, { prefix: '', limit: 10 })).entries).toHaveLength(1);
    expect(encodeTenant(tenant)).toMatch(/^[a-z0-9_.%-]{1,200}=[th]$/);
    expect(await readdir(base)).toEqual(['root']);
  });

  test.each(['', '\ud800'])('refuses the tenant %j', async (tenant) => {
    expect(summary(await failureOf(store.stat(tenant, 'a')))).toEqual({ code: 'BLW_FS_PATH', retryable: false });
  });
});

describe('put and read', () => {
  test('stores bytes and streams with their size, hash and media type', async () => {
    const before = Date.now();
    const info = await store.put(TENANT, 'a/b.txt', bytes('grüße'), { contentType: 'text/plain' });
    expect(info).toEqual({
      path: 'a/b.txt',
      size: 7,
      sha256: sha256('grüße'),
      contentType: 'text/plain',
      modifiedAt: expect.any(Date) as Date,
    });
    expect(info.modifiedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(await store.stat(TENANT, 'a/b.txt')).toEqual(info);
    expect(await store.read(TENANT, 'a/b.txt', 7)).toEqual({ info, content: bytes('grüße') });
    await store.put(TENANT, 'stream', Readable.from([bytes('one '), 'two ', bytes('three')]));
    expect(await contentOf('stream')).toBe('one two three');
    await store.put(TENANT, 'empty', new Uint8Array());
    await store.put(TENANT, 'empty stream', Readable.from([]));
    expect([await contentOf('empty'), await contentOf('empty stream')]).toEqual(['', '']);
    expect(await temporaryFiles()).toEqual([]);
  });

  test('answers undefined where there is no blob, and false for its deletion', async () => {
    expect(await store.stat(TENANT, 'a')).toBeUndefined();
    expect(await store.read(TENANT, 'a', 1)).toBeUndefined();
    expect(await store.delete(TENANT, 'a')).toBe(false);
    expect(await store.list(TENANT, { prefix: 'a/b/', limit: 1 })).toEqual({ entries: [] });
    await store.put(TENANT, 'a/b', bytes('x'));
    expect(await store.stat(TENANT, 'a')).toBeUndefined();
    expect(await store.stat(TENANT, 'a/b/c')).toBeUndefined();
  });

  test('keeps its files from other users', async () => {
    await store.put(TENANT, 'a/b', bytes('secret'));
    for (const file of await filesUnder(root)) expect((await stat(file)).mode & 0o077).toBe(0);
    for (const folder of [root, join(root, 'acme=t'), dirname(pointerFile('a/b'))]) {
      expect((await stat(folder)).mode & 0o077).toBe(0);
    }
  });

  test('keeps the same content once', async () => {
    await store.put(TENANT, 'a', bytes('same'));
    await store.put(TENANT, 'b', bytes('same'));
    expect(await objectFiles()).toEqual([objectFile('same')]);
  });

  test('does not read more than was allowed', async () => {
    await store.put(TENANT, 'a', bytes('12345'));
    const failure = await failureOf(store.read(TENANT, 'a', 4));
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
    const info = await store.put(TENANT, 'large', source, {
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
    await store.put(TENANT, 'a', Readable.from([bytes('12'), bytes('345')]), { onProgress });
    expect(seen).toEqual([2, 5]);
  });

  test('takes an expected hash in any case and a size that is just met', async () => {
    const options = { expectedSha256: sha256('abc').toUpperCase(), maxBytes: 3 };
    await store.put(TENANT, 'a', Readable.from([bytes('abc')]), options);
    expect(await contentOf('a')).toBe('abc');
  });

  test.each([
    ['a stream', () => Readable.from([bytes('ab'), bytes('cd')])],
    ['bytes', () => bytes('abcd')],
  ])('leaves nothing behind of %s that breaks a rule', async (_, source) => {
    await store.put(TENANT, 'a', bytes('old'));
    const tooLarge = await failureOf(store.put(TENANT, 'a', source(), { maxBytes: 3 }));
    expect(summary(tooLarge)).toEqual({ code: 'BLW_HTTP_TOO_LARGE', retryable: false });
    const otherHash = await failureOf(store.put(TENANT, 'a', source(), { expectedSha256: sha256('x') }));
    expect(summary(otherHash)).toEqual({ code: 'BLW_HTTP_CHECKSUM', retryable: false });
    const other = await failureOf(store.put(TENANT, 'a', source(), { ifMatch: 'none' }));
    expect(summary(other)).toEqual({ code: 'BLW_FS_PRECONDITION', retryable: false });
    expect(await contentOf('a')).toBe('old');
    expect(await temporaryFiles()).toEqual([]);
    expect(await objectFiles()).toEqual([objectFile('old')]);
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
    await expect(store.put(TENANT, 'a', source)).rejects.toBe(lost);
    expect(await store.stat(TENANT, 'a')).toBeUndefined();
    expect([...(await temporaryFiles()), ...(await objectFiles())]).toEqual([]);
  });

  test('stops on abort while the source is silent, throws the reason and leaves nothing behind', async () => {
    const source = new PassThrough();
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const put = store.put(TENANT, 'a', source, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    source.write('half');
    await expect(put).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    expect(await store.stat(TENANT, 'a')).toBeUndefined();
    expect([...(await temporaryFiles()), ...(await objectFiles())]).toEqual([]);
  });

  test('does not begin after an abort, and ends the source', async () => {
    const source = new PassThrough();
    const reason = new Error('cancelled');
    await expect(store.put(TENANT, 'a', source, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    await expect(store.put(TENANT, 'a', bytes('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
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
    await failureOf(store.put(TENANT, path, source, options));
    expect([source.destroyed, reads]).toEqual([true, 0]);
  });
});

describe('preconditions', () => {
  test('writes only over the content that was named', async () => {
    const first = await store.put(TENANT, 'a', bytes('1'), { ifMatch: 'none' });
    await store.put(TENANT, 'a', bytes('2'), { ifMatch: first.sha256.toUpperCase() });
    const failure = await failureOf(store.put(TENANT, 'a', bytes('3'), { ifMatch: first.sha256 }));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_PRECONDITION', retryable: false });
    expect(failure.data.data).toEqual({ expected: sha256('1'), actual: sha256('2') });
    expect(failure.message).toBe(
      `Blob "a": its SHA-256 is ${sha256('2')}, expected SHA-256 ${sha256('1')}; nothing was written. Read it again and decide.`,
    );
    const gone = await failureOf(store.put(TENANT, 'b', bytes('3'), { ifMatch: first.sha256 }));
    expect(gone.data.data).toEqual({ expected: sha256('1'), actual: 'none' });
    expect(await contentOf('a')).toBe('2');
  });

  test.each(['none', 'its hash'])('lets exactly one of many win on %s, over two stores', async (kind) => {
    const stores = [store, await open()];
    for (let round = 0; round < 5; round++) {
      const path = `${kind}/${round}`;
      const ifMatch = kind === 'none' ? 'none' : (await store.put(TENANT, path, bytes('old'))).sha256;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          (stores[index % 2] ?? store).put(TENANT, path, bytes(`from ${index}`), { ifMatch }),
        ),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(await contentOf(path)).toBe(`from ${winners[0]}`);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason.data.code).toBe('BLW_FS_PRECONDITION');
      }
    }
  });

  test('loses no update of a counter that many raise at once over two stores', async () => {
    const stores = [store, await open()];
    await store.put(TENANT, 'counter', bytes('0'));
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
    await Promise.all(Array.from({ length: 16 }, (_, index) => raise(stores[index % 2] ?? store)));
    expect(await contentOf('counter')).toBe('16');
  });
});

describe('delete', () => {
  test('removes the blob and the folders that became empty, and no others', async () => {
    await store.put(TENANT, 'a/b/c', bytes('1'));
    await store.put(TENANT, 'a/x', bytes('2'));
    expect(await store.delete(TENANT, 'a/b/c')).toBe(true);
    expect(await store.stat(TENANT, 'a/b/c')).toBeUndefined();
    expect(await readdir(join(root, 'acme=t', 'blobs', 'a=d'))).toEqual(['x=b']);
    expect(await store.delete(TENANT, 'a/x')).toBe(true);
    expect(await readdir(join(root, 'acme=t', 'blobs'))).toEqual([]);
  });

  test('is true for exactly one of many, over two stores', async () => {
    const stores = [store, await open()];
    await store.put(TENANT, 'a', bytes('x'));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (stores[index % 2] ?? store).delete(TENANT, 'a')),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  test('does not make puts in the same folder fail', async () => {
    const another = await open();
    await Promise.all(
      [store, another].flatMap((from) =>
        Array.from({ length: 40 }, async (_, index) => {
          const path = `a/b/${index % 3}`;
          await (index % 2 === 0 ? from.put(TENANT, path, bytes('x')) : from.delete(TENANT, path));
        }),
      ),
    );
    await store.put(TENANT, 'a/b/c', bytes('last'));
    expect(await contentOf('a/b/c')).toBe('last');
  });

  test('tells a retry that its own step did it, and spares what was put since', async () => {
    const key = { idempotencyKey: 'acme:flow:/do/0/drop' };
    await store.put(TENANT, 'a', bytes('x'));
    expect(await store.delete(TENANT, 'a', { ...key, isRetry: false })).toBe(true);
    expect(await store.delete(TENANT, 'a', { ...key, isRetry: true })).toBe(true);
    expect(await store.delete(TENANT, 'b', { ...key, isRetry: true })).toBe(false);
    expect(await store.delete(TENANT, 'a', { idempotencyKey: 'another', isRetry: true })).toBe(false);
    await store.put(TENANT, 'a', bytes('new'));
    expect(await store.delete(TENANT, 'a', { ...key, isRetry: true })).toBe(true);
    expect(await contentOf('a')).toBe('new');
    expect(await store.delete(TENANT, 'a', { ...key, isRetry: false })).toBe(true);
    expect(await store.stat(TENANT, 'a')).toBeUndefined();
  });

  test('does not claim for a retry what another step deleted', async () => {
    await store.put(TENANT, 'a', bytes('x'));
    expect(await store.delete(TENANT, 'a')).toBe(true);
    expect(await store.delete(TENANT, 'a', { idempotencyKey: 'mine', isRetry: true })).toBe(false);
  });
});

describe('readers', () => {
  test('always see one whole version while writers, deletes and sweeps are at work', async () => {
    const versions = Array.from({ length: 6 }, (_, index) => String(index).repeat(1000 * (index + 1)));
    const whole = new Set(versions);
    const writer = await open();
    await store.put(TENANT, 'a', bytes(versions[0] ?? ''));
    let isDone = false;
    const write = async () => {
      for (let round = 0; round < 60; round++) await writer.put(TENANT, 'a', bytes(versions[round % 6] ?? ''));
      isDone = true;
    };
    const sweep = async () => {
      while (!isDone) await writer.sweep({ graceMs: 0 });
    };
    let reads = 0;
    const read = async () => {
      while (!isDone) {
        const blob = await store.read(TENANT, 'a', 10_000);
        const text = blob?.content.toString() ?? '';
        expect(whole.has(text)).toBe(true);
        expect(blob?.info).toMatchObject({ size: text.length, sha256: sha256(text) });
        expect((await store.list(TENANT, { prefix: '', limit: 10 })).entries).toHaveLength(1);
        reads += 1;
      }
    };
    await Promise.all([write(), sweep(), read(), read()]);
    expect(reads).toBeGreaterThan(10);
  });

  test.each([
    ['content that is too short', () => truncate(objectFile('content'), 3), 'its content has 3 bytes instead of 7'],
    ['content that changed', () => writeFile(objectFile('content'), 'CONTENT'), 'does not have its SHA-256'],
    ['content that is missing', () => rm(objectFile('content')), 'is missing'],
    ['a pointer that is no JSON', () => writeFile(pointerFile('a'), '{'), 'its pointer file is damaged'],
    [
      'a pointer without a hash',
      () => writeFile(pointerFile('a'), '{"path":"a","size":1}'),
      'its pointer file is damaged',
    ],
    ['an empty pointer', () => truncate(pointerFile('a')), 'its pointer file is damaged'],
  ])('refuse %s, until the blob is written again', async (_, spoil, reason) => {
    await store.put(TENANT, 'a', bytes('content'));
    await spoil();
    const failure = await failureOf(store.read(TENANT, 'a', 100));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toContain(reason);
    await store.put(TENANT, 'a', bytes('content'));
    expect(await contentOf('a')).toBe('content');
  });

  test('are not given a pointer that was copied from another path', async () => {
    await store.put(TENANT, 'a', bytes('1'));
    await store.put(TENANT, 'b', bytes('2'));
    await writeFile(pointerFile('b'), await readFile(pointerFile('a')));
    expect((await failureOf(store.read(TENANT, 'b', 100))).message).toContain('its pointer file is damaged');
  });

  test('get content that a put mended where the object was cut short', async () => {
    await store.put(TENANT, 'a', bytes('content'));
    await truncate(objectFile('content'), 3);
    await store.put(TENANT, 'b', bytes('content'));
    expect([await contentOf('a'), await contentOf('b')]).toEqual(['content', 'content']);
  });
});

describe('symbolic links', () => {
  let outside: string;

  beforeEach(async () => {
    outside = join(base, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
  });

  test('may be the root itself', async () => {
    await symlink(root, join(base, 'link'));
    const linked = await open(join(base, 'link'));
    await linked.put(TENANT, 'a', bytes('x'));
    expect(await contentOf('a')).toBe('x');
  });

  test.each([
    ['a folder of the tree', 'acme=t/blobs/evil=d'],
    ['the tree', 'acme=t/blobs'],
    ['the folder of objects', 'acme=t/objects'],
    ['a folder of objects', `acme=t/objects/${sha256('x').slice(0, 2)}`],
    ['the folder of temporary files', 'acme=t/temporary'],
    ['the folder of a tenant', 'acme=t'],
  ])('are not followed as %s', async (_, planted) => {
    await mkdir(dirname(join(root, planted)), { recursive: true });
    await symlink(outside, join(root, planted));
    const failure = await failureOf(store.put(TENANT, 'evil/a', bytes('x')));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toContain('is a symbolic link');
    await store.list(TENANT, { prefix: '', limit: 10 }).catch(failureOfError);
    await store.sweep({ graceMs: 0 }).catch(failureOfError);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  function failureOfError(error: unknown): void {
    if (!(error instanceof BlockFailure)) throw error;
  }

  test('are not followed where they dangle', async () => {
    await mkdir(join(root, 'acme=t', 'blobs'), { recursive: true });
    await symlink(join(outside, 'new'), join(root, 'acme=t', 'blobs', 'evil=d'));
    expect((await failureOf(store.put(TENANT, 'evil/a', bytes('x')))).message).toContain('is a dangling link');
    expect(await readdir(outside)).toEqual(['secret']);
  });

  test('are refused as pointer and as object, and replaced by the next put', async () => {
    await store.put(TENANT, 'a', bytes('secret'));
    const pointer = await readFile(pointerFile('a'));
    await writeFile(join(outside, 'pointer'), pointer);
    await rm(pointerFile('a'));
    await symlink(join(outside, 'pointer'), pointerFile('a'));
    expect((await failureOf(store.read(TENANT, 'a', 100))).message).toContain('is a symbolic link');
    expect((await store.list(TENANT, { prefix: '', limit: 10 })).entries).toEqual([]);
    await store.put(TENANT, 'a', bytes('secret'));
    await rm(objectFile('secret'));
    await symlink(join(outside, 'secret'), objectFile('secret'));
    expect((await failureOf(store.read(TENANT, 'a', 100))).message).toContain('is a symbolic link');
    await store.put(TENANT, 'a', bytes('secret'));
    expect(await contentOf('a')).toBe('secret');
    expect((await lstat(objectFile('secret'))).isFile()).toBe(true);
    expect((await readFile(join(outside, 'pointer'))).equals(pointer)).toBe(true);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
});

describe('sweep', () => {
  const age = async (file: string) => {
    const then = new Date(Date.now() - HOUR_MS);
    await utimes(file, then, then);
  };

  test('removes old content that nothing refers to, and keeps the rest', async () => {
    await store.put(TENANT, 'a', bytes('replaced'));
    await store.put(TENANT, 'a', bytes('current'));
    await store.put(TENANT, 'b', bytes('deleted'));
    await store.put('other', 'a', bytes('replaced'));
    await store.delete(TENANT, 'b');
    await store.put(TENANT, 'c', bytes('young'));
    await store.delete(TENANT, 'c');
    for (const content of ['replaced', 'current', 'deleted']) await age(objectFile(content));
    const freedBytes = 'replaced'.length + 'deleted'.length;
    expect(await store.sweep({ graceMs: HOUR_MS / 2 })).toEqual({ removed: 2, freedBytes });
    expect((await objectFiles()).sort()).toEqual([objectFile('current'), objectFile('young')].sort());
    expect(await contentOf('a')).toBe('current');
    expect((await store.read('other', 'a', 100))?.content.toString()).toBe('replaced');
    expect(await store.sweep({ graceMs: 0 })).toEqual({ removed: 1, freedBytes: 'young'.length });
  });

  test('removes what a crash left half written', async () => {
    await store.put(TENANT, 'a', bytes('x'));
    const leftovers = ['old', 'young'].map((name) => join(root, 'acme=t', 'temporary', name));
    for (const file of leftovers) await writeFile(file, 'half');
    await age(leftovers[0] ?? '');
    expect(await store.sweep({ graceMs: HOUR_MS / 2 })).toEqual({ removed: 1, freedBytes: 4 });
    expect(await temporaryFiles()).toEqual([leftovers[1]]);
  });

  test('leaves a put alone that is under way, and its content', async () => {
    const source = new PassThrough();
    const written = new Promise<void>((resolve) => {
      source.once('drained', resolve);
    });
    const put = store.put(TENANT, 'a', source, { onProgress: () => source.emit('drained') });
    source.write('half, ');
    await written;
    const [file = ''] = await temporaryFiles();
    await age(file);
    expect(await store.sweep({ graceMs: 0 })).toEqual({ removed: 0, freedBytes: 0 });
    source.end('whole');
    await put;
    expect(await contentOf('a')).toBe('half, whole');
  });

  test('forgets deletions after the grace', async () => {
    const key = { idempotencyKey: 'key', isRetry: true };
    await store.put(TENANT, 'a', bytes('x'));
    await store.delete(TENANT, 'a', key);
    await store.sweep({ graceMs: HOUR_MS });
    expect(await store.delete(TENANT, 'a', key)).toBe(true);
    for (const file of await filesUnder(join(root, 'acme=t', 'deleted'))) await age(file);
    await store.sweep({ graceMs: HOUR_MS / 2 });
    expect(await store.delete(TENANT, 'a', key)).toBe(false);
  });

  test('loses nothing of what is put, dropped and put again while it runs without grace', async () => {
    const contents = ['one', 'two', 'three'];
    let isDone = false;
    const write = async (path: string) => {
      for (let round = 0; round < 40; round++) {
        const content = contents[round % 3] ?? '';
        await store.put(TENANT, path, bytes(content));
        expect(await contentOf(path)).toBe(content);
        if (round % 4 === 0) await store.delete(TENANT, path);
      }
    };
    const sweep = async () => {
      while (!isDone) await store.sweep({ graceMs: 0 });
    };
    const writing = Promise.all(['a', 'b/c', 'b/d'].map(write)).finally(() => {
      isDone = true;
    });
    await Promise.all([writing, sweep()]);
    for (const path of ['a', 'b/c', 'b/d']) expect(await contentOf(path)).toBe('one');
  });

  test('does nothing in an empty store and ignores what is not its own', async () => {
    await mkdir(join(root, 'lost+found'));
    await writeFile(join(root, 'notes.txt'), 'mine');
    expect(await store.sweep({ graceMs: 0 })).toEqual({ removed: 0, freedBytes: 0 });
    expect((await readdir(root)).sort()).toEqual(['lock.sqlite', 'lost+found', 'notes.txt']);
  });
});

describe('errors of the file system', () => {
  test.each([
    ['ENOSPC', true, 'Free space'],
    ['EDQUOT', true, 'quota'],
    ['EIO', true, 'Look at the disk'],
    ['EMFILE', true, 'ulimit -n'],
    ['ESTALE', true, 'Look at the disk'],
    ['EACCES', false, 'the right to read and write'],
    ['EPERM', false, 'the right to read and write'],
    ['EROFS', false, 'writable'],
    ['ENOTDIR', false, 'Look at the disk'],
  ])('become BLW_FS_IO: %s, retryable %s', async (code, isRetryable, advice) => {
    const error = Object.assign(new Error(`${code}: oh, open '${root}/x'`), {
      code,
      syscall: 'open',
      path: `${root}/x`,
    });
    const failure = await failureOf(guardIo('Blob "a"', () => Promise.reject(error)));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: isRetryable });
    expect(failure.message).toMatch(new RegExp(`^Blob "a": open failed with ${code}. .*${advice}`));
    expect(String(failure.cause)).not.toContain(root);
  });

  test('become BLW_FS_PATH where the path is too long for the file system', async () => {
    const error = Object.assign(new Error('ENAMETOOLONG'), { code: 'ENAMETOOLONG', syscall: 'open' });
    const failure = await failureOf(guardIo('Blob "a"', () => Promise.reject(error)));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_PATH', retryable: false });
    expect(failure.message).toContain('Shorten the path');
  });

  test('name the blob and not the folder', async () => {
    await mkdir(join(root, 'acme=t'));
    await writeFile(join(root, 'acme=t', 'temporary'), 'a file in the way');
    const failure = await failureOf(store.put(TENANT, 'a', bytes('x')));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toMatch(/^Blob "a": open failed with ENOTDIR/);
  });

  test('are retryable where the root is gone', async () => {
    await rm(root, { recursive: true });
    expect(summary(await failureOf(store.put(TENANT, 'a', bytes('x'))))).toEqual({
      code: 'BLW_FS_IO',
      retryable: true,
    });
  });

  test('refuse a root that is a file', async () => {
    await writeFile(join(base, 'file'), '');
    await expect(createFileBlobStore({ root: join(base, 'file') })).rejects.toMatchObject({
      data: { code: 'BLW_CONFIG' },
      message: expect.stringContaining('EEXIST') as string,
    });
  });
});

describe('the lock', () => {
  test('lets one in at a time, in order, also over two handles', async () => {
    const locks = [openStoreLock(join(root, 'lock.sqlite')), openStoreLock(join(root, 'lock.sqlite'))];
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
    const lock = openStoreLock(join(root, 'lock.sqlite'));
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
  let compiled: string;
  const children: ChildProcess[] = [];

  /** The store as JavaScript, for processes that have no test runner around them. */
  beforeAll(async () => {
    compiled = await realpath(await mkdtemp(join(tmpdir(), 'blobs-compiled-')));
    const source = resolve(__dirname, '../../src');
    const files = [
      ...['errors', 'error-codes', 'json'].map((name) => `dsl/${name}.ts`),
      'activities/block-failure.ts',
      ...(await readdir(join(source, 'activities/ports')))
        .filter((name) => /^(file-)?blob-.*\.ts$/.test(name))
        .map((name) => `activities/ports/${name}`),
    ];
    await symlink(resolve(__dirname, '../../node_modules'), join(compiled, 'node_modules'));
    for (const file of files) {
      const { code } = await transformFile(join(source, file), {
        swcrc: false,
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
      });
      const target = join(compiled, file.replace(/ts$/, 'js'));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, code);
    }
  });

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  afterAll(() => rm(compiled, { recursive: true, force: true }));

  function start(script: string): { child: ChildProcess; line: Promise<string> } {
    const child = spawn(process.execPath, ['-e', script, join(compiled, 'activities/ports'), root], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const line = once(child.stdout, 'data').then(([data]: Buffer[]) => String(data).trim());
    return { child, line };
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
      for (const round of wins) expect(await contentOf(`race/${round}`)).toBe(`${pid} in ${round}`);
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
    const put = store.put(TENANT, 'a', bytes('x')).finally(() => {
      isSettled = true;
    });
    // The put has come as far as the lock once its content is in place.
    while ((await objectFiles()).length === 0) await nextTurn();
    const controller = new AbortController();
    const waiting = store.put(TENANT, 'b', bytes('x'), { signal: controller.signal });
    controller.abort(new Error('no longer wanted'));
    await expect(waiting).rejects.toThrow('no longer wanted');
    expect(isSettled).toBe(false);
    child.kill('SIGKILL');
    await put;
    expect(await contentOf('a')).toBe('x');
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
      const { entries } = await store.list(TENANT, { prefix: '', limit: 10 });
      for (const { path } of entries) expect(await contentOf(path)).toMatch(/^(\d)\1{49999}$/);
    }
    await store.sweep({ graceMs: 0 });
    const { entries } = await store.list(TENANT, { prefix: '', limit: 10 });
    const referenced = new Set(entries.map((entry) => entry.sha256));
    expect(await temporaryFiles()).toEqual([]);
    expect(await objectFiles()).toHaveLength(referenced.size);
  });
});
