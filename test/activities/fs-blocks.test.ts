import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { BlockExecutor, StepIdentity } from '../../src/activities/block';
import { fsDelete } from '../../src/activities/blocks/fs-delete';
import { fsGet } from '../../src/activities/blocks/fs-get';
import { fsList } from '../../src/activities/blocks/fs-list';
import { fsPut } from '../../src/activities/blocks/fs-put';
import { fsStat } from '../../src/activities/blocks/fs-stat';
import type { BlobStore } from '../../src/activities/ports/blob-store';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import type { Json, JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

let root: string;
let blobs: FileBlobStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fs-blocks-'));
  blobs = await createFileBlobStore({ root });
});

afterEach(async () => {
  blobs.close();
  await rm(root, { recursive: true });
});

function run(block: BlockExecutor, args: JsonObject, step: Partial<StepIdentity> = {}): Promise<Json> {
  return block(args, makeContext({ blobs }, { step }));
}

const stored = async (path: string) => (await blobs.read('acme', path, 1 << 24))?.content;

async function expectFailure(work: Promise<unknown>, code: string): Promise<string> {
  const failure = await failureOf(work);
  expect({ code: failure.data.code, retryable: failure.options.retryable }).toEqual({ code, retryable: false });
  return failure.message;
}

describe('fs.put', () => {
  test.each<[string, JsonObject, string]>([
    ['text', { content: 'grüße\n' }, 'grüße\n'],
    ['no text', { content: '' }, ''],
    ['an object', { content: { b: 1, a: ['ü', null] } }, '{"b":1,"a":["ü",null]}'],
    ['an array', { content: [] }, '[]'],
    ['null', { content: null }, 'null'],
    ['false', { content: false }, 'false'],
    ['a number', { content: 1.5 }, '1.5'],
    ['bytes', { base64: 'aGVsbG8=' }, 'hello'],
    ['no bytes', { base64: '' }, ''],
  ])('stores %s', async (_, args, expected) => {
    const output = await run(fsPut, { path: 'a/b', ...args });
    expect(output).toEqual({ path: 'a/b', size: Buffer.byteLength(expected), sha256: sha256(expected) });
    expect((await stored('a/b'))?.toString()).toBe(expected);
  });

  test('keeps the media type with the blob', async () => {
    await run(fsPut, { path: 'a', content: 'x', contentType: 'text/plain' });
    expect((await blobs.stat('acme', 'a'))?.contentType).toBe('text/plain');
  });

  test.each<[string, JsonObject, string]>([
    ['neither content nor base64', {}, 'neither is given; expected exactly one'],
    ['both content and base64', { content: '', base64: '' }, 'both are given; expected exactly one'],
    ['text that UTF-8 cannot hold', { content: 'ab\ud800c' }, 'half of a surrogate pair at index 2'],
    ['base64 with white space', { base64: 'aGVs bG8=' }, 'not base64'],
    ['base64 with a line break', { base64: 'aGVsbG8=\n' }, 'not base64'],
    ['base64 without padding', { base64: 'aGVsbG8' }, 'not base64'],
    ['base64 with too much padding', { base64: 'aGVsbG8==' }, 'not base64'],
    ['base64 of the alphabet for URLs', { base64: '-_-_' }, 'not base64'],
    ['base64 with loose bits', { base64: 'aGVsbG9=' }, 'not base64'],
    ['what is not base64', { base64: '*' }, 'not base64'],
  ])('refuses %s', async (_, args, reason) => {
    expect(await expectFailure(run(fsPut, { path: 'a', ...args }), 'BLW_ARG_INVALID')).toContain(reason);
    expect(await stored('a')).toBeUndefined();
  });

  test('gives back through fs.get whatever bytes and values it was given', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.jsonValue(), async (bytes, value) => {
        const base64 = Buffer.from(bytes).toString('base64');
        await run(fsPut, { path: 'bytes', base64 });
        expect(await run(fsGet, { path: 'bytes', as: 'base64' })).toMatchObject({ content: base64 });
        const content = JSON.parse(JSON.stringify(value)) as Json;
        if (typeof content === 'string') return;
        await run(fsPut, { path: 'value', content });
        expect(await run(fsGet, { path: 'value', as: 'json' })).toMatchObject({ content });
      }),
      { numRuns: 40 },
    );
  });

  test('writes into the space of the tenant of its step', async () => {
    await run(fsPut, { path: 'a', content: 'theirs' }, { tenant: 'other' });
    expect(await stored('a')).toBeUndefined();
    expect((await blobs.read('other', 'a', 10))?.content.toString()).toBe('theirs');
  });

  test('refuses a bad path', async () => {
    await expectFailure(run(fsPut, { path: '../a', content: 'x' }), 'BLW_FS_PATH');
  });

  test('throws the reason of an abort and writes nothing', async () => {
    const reason = new Error('cancelled');
    const context = makeContext({ blobs }, { signal: AbortSignal.abort(reason) });
    await expect(fsPut({ path: 'a', content: 'x' }, context)).rejects.toBe(reason);
    expect(await stored('a')).toBeUndefined();
  });

  test('fails where the blob is another than expected', async () => {
    await run(fsPut, { path: 'a', content: 'x', ifMatch: 'none' });
    await expectFailure(run(fsPut, { path: 'a', content: 'y', ifMatch: 'none' }), 'BLW_FS_PRECONDITION');
    await run(fsPut, { path: 'a', content: 'y', ifMatch: sha256('x') });
    await expectFailure(run(fsPut, { path: 'a', content: 'z', ifMatch: sha256('x') }), 'BLW_FS_PRECONDITION');
  });

  test.each(['none', sha256('old')])(
    'succeeds again when the answer of the first attempt was lost, on %s',
    async (ifMatch) => {
      if (ifMatch !== 'none') await run(fsPut, { path: 'a', content: 'old' });
      const args = { path: 'a', content: 'new', ifMatch };
      const first = await run(fsPut, args);
      expect(await run(fsPut, args, { attempt: 2 })).toEqual(first);
      await expectFailure(run(fsPut, args, { attempt: 1 }), 'BLW_FS_PRECONDITION');
    },
  );

  test('fails on a retry where somebody else wrote other content or deleted the blob', async () => {
    const args = { path: 'a', content: 'mine', ifMatch: sha256('old') };
    await expectFailure(run(fsPut, args, { attempt: 2 }), 'BLW_FS_PRECONDITION');
    await run(fsPut, { path: 'a', content: 'theirs' });
    await expectFailure(run(fsPut, args, { attempt: 2 }), 'BLW_FS_PRECONDITION');
    expect((await stored('a'))?.toString()).toBe('theirs');
  });
});

describe('fs.get', () => {
  const put = (bytes: Uint8Array | string) => blobs.put('acme', 'a', Buffer.from(bytes));

  test.each<[string, JsonObject, Json]>([
    ['text unless told otherwise', {}, '{"a":"ü"}'],
    ['text', { as: 'text' }, '{"a":"ü"}'],
    ['JSON', { as: 'json' }, { a: 'ü' }],
    ['base64', { as: 'base64' }, Buffer.from('{"a":"ü"}').toString('base64')],
  ])('reads %s', async (_, args, content) => {
    const { size, sha256: hash } = await put('{"a":"ü"}');
    expect(await run(fsGet, { path: 'a', ...args })).toEqual({ path: 'a', size, sha256: hash, content });
  });

  test('keeps a byte order mark in text and ignores it before JSON', async () => {
    await put('\ufeff{}');
    expect(await run(fsGet, { path: 'a' })).toMatchObject({ content: '\ufeff{}' });
    expect(await run(fsGet, { path: 'a', as: 'json' })).toMatchObject({ content: {} });
  });

  test.each<[string, Uint8Array | string, string, string]>([
    ['bytes that are not UTF-8', Uint8Array.of(0x61, 0xff), 'text', 'the bytes are not UTF-8; expected UTF-8 text'],
    ['UTF-8 that is cut off', Uint8Array.of(0xc3), 'text', 'the bytes are not UTF-8'],
    ['JSON that is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'json', 'the bytes are not UTF-8'],
    ['text that is not JSON', '{"token": s3cret}', 'json', 'the text is not JSON; expected JSON'],
    ['JSON that is cut off', '{"token":', 'json', 'the text is not JSON'],
    ['an empty blob as JSON', '', 'json', 'the text is not JSON'],
  ])('refuses %s without telling the content', async (_, bytes, as, reason) => {
    await put(bytes);
    const message = await expectFailure(run(fsGet, { path: 'a', as }), 'BLW_FS_CONTENT');
    expect(message).toContain(reason);
    expect(message).not.toContain('s3cret');
  });

  test('reads 100 MiB and no more', async () => {
    await put(Buffer.alloc(100 << 20, 'x'));
    expect(await run(fsGet, { path: 'a' })).toMatchObject({ size: 100 << 20 });
    await put(Buffer.alloc((100 << 20) + 1, 'x'));
    const message = await expectFailure(run(fsGet, { path: 'a' }), 'BLW_FS_TOO_LARGE');
    expect(message).toContain('has 104857601 bytes, expected at most 104857600');
  });

  test('fails where there is no blob', async () => {
    expect(await expectFailure(run(fsGet, { path: 'a/b' }), 'BLW_FS_NOT_FOUND')).toBe(
      'fs.get, blob "a/b": there is none; expected a blob of this tenant. Check the path.',
    );
  });
});

describe('fs.list', () => {
  test('lists pages in order, each entry with what is known of it', async () => {
    const paths = Array.from({ length: 5 }, (_, index) => `r/${index}`);
    for (const path of [...paths, 'q', 's']) await run(fsPut, { path, content: path });
    const first = await run(fsList, { prefix: 'r/', limit: 3 });
    expect(first).toMatchObject({ entries: paths.slice(0, 3).map((path) => ({ path })), next: 'r/2' });
    const info = await blobs.stat('acme', 'r/3');
    expect(await run(fsList, { prefix: 'r/', limit: 3, after: 'r/2' })).toEqual({
      entries: [
        { path: 'r/3', size: 3, sha256: sha256('r/3'), modifiedAt: info?.modifiedAt.toISOString() },
        expect.objectContaining({ path: 'r/4' }),
      ],
    });
  });

  test('lists up to 100 blobs of the tenant unless told otherwise', async () => {
    await Promise.all(Array.from({ length: 101 }, (_, index) => run(fsPut, { path: `${index}`, content: '' })));
    const { entries, next } = (await run(fsList, {})) as { entries: { path: string }[]; next?: string };
    expect([entries.length, next]).toEqual([100, entries.at(-1)?.path]);
    expect(await run(fsList, {}, { tenant: 'other' })).toEqual({ entries: [] });
  });

  test('refuses a prefix that no path begins with', async () => {
    await expectFailure(run(fsList, { prefix: '../' }), 'BLW_FS_PATH');
  });
});

describe('a late attempt of fs.put', () => {
  test('gives what the other attempt gave and leaves alone what another step put there since', async () => {
    const execution = 'run:1';
    const first = await run(fsPut, { path: 'a', content: 'x', ifMatch: 'none' }, { execution, attempt: 2 });
    await run(fsPut, { path: 'a', content: 'new' }, { execution: 'run:2' });
    expect(await run(fsPut, { path: 'a', content: 'x', ifMatch: 'none' }, { execution, attempt: 1 })).toEqual(first);
    expect((await stored('a'))?.toString()).toBe('new');
  });
});

describe('fs.stat', () => {
  test('tells size and hash of a blob', async () => {
    await run(fsPut, { path: 'a', content: 'abc' });
    expect(await run(fsStat, { path: 'a' })).toEqual({ path: 'a', exists: true, size: 3, sha256: sha256('abc') });
  });

  test('fails or answers for a missing blob, as told', async () => {
    expect(await expectFailure(run(fsStat, { path: 'a' }), 'BLW_FS_NOT_FOUND')).toContain('ifMissing: ignore');
    await expectFailure(run(fsStat, { path: 'a', ifMissing: 'fail' }), 'BLW_FS_NOT_FOUND');
    expect(await run(fsStat, { path: 'a', ifMissing: 'ignore' })).toEqual({ path: 'a', exists: false });
  });
});

describe('fs.delete', () => {
  test('deletes a blob', async () => {
    await run(fsPut, { path: 'a', content: 'x' });
    expect(await run(fsDelete, { path: 'a' })).toEqual({ path: 'a', deleted: true });
    expect(await stored('a')).toBeUndefined();
  });

  test.each([1, 2])('fails or answers for a missing blob, as told, on attempt %d', async (attempt) => {
    await expectFailure(run(fsDelete, { path: 'a' }, { attempt }), 'BLW_FS_NOT_FOUND');
    const output = await run(fsDelete, { path: 'a', ifMissing: 'ignore' }, { attempt });
    expect(output).toEqual({ path: 'a', deleted: false });
  });

  test('answers a retry whose first attempt deleted the blob and lost the answer', async () => {
    await run(fsPut, { path: 'a', content: 'x' });
    await run(fsDelete, { path: 'a' });
    expect(await run(fsDelete, { path: 'a' }, { attempt: 2 })).toEqual({ path: 'a', deleted: true });
  });

  test('spares on such a retry what another step put there since', async () => {
    await run(fsPut, { path: 'a', content: 'x' });
    await run(fsDelete, { path: 'a' });
    await run(fsPut, { path: 'a', content: 'new' });
    expect(await run(fsDelete, { path: 'a' }, { attempt: 2 })).toEqual({ path: 'a', deleted: true });
    expect((await stored('a'))?.toString()).toBe('new');
  });

  test('deletes on a retry whose first attempt did not come that far', async () => {
    await run(fsPut, { path: 'a', content: 'x' });
    expect(await run(fsDelete, { path: 'a' }, { attempt: 2 })).toEqual({ path: 'a', deleted: true });
    expect(await stored('a')).toBeUndefined();
  });

  test('deletes again when a flow that was reset comes to the step anew', async () => {
    for (const content of ['first run', 'after the reset']) {
      await run(fsPut, { path: 'a', content });
      expect(await run(fsDelete, { path: 'a' }, { attempt: 1 })).toEqual({ path: 'a', deleted: true });
      expect(await stored('a')).toBeUndefined();
    }
  });

  test('deletes nothing where the first attempt comes late, after the second and what another step put', async () => {
    const execution = 'run:1';
    await run(fsPut, { path: 'a', content: 'x' });
    expect(await run(fsDelete, { path: 'a' }, { execution, attempt: 2 })).toEqual({ path: 'a', deleted: true });
    await run(fsPut, { path: 'a', content: 'new' });
    expect(await run(fsDelete, { path: 'a' }, { execution, attempt: 1 })).toEqual({ path: 'a', deleted: true });
    expect((await stored('a'))?.toString()).toBe('new');
    expect(await run(fsDelete, { path: 'a' }, { execution: 'run:2' })).toEqual({ path: 'a', deleted: true });
    expect(await stored('a')).toBeUndefined();
  });

  test('passes on what the store fails with', async () => {
    const lost = new Error('lost');
    const failing = { delete: () => Promise.reject(lost) } as unknown as BlobStore;
    await expect(fsDelete({ path: 'a' }, makeContext({ blobs: failing }))).rejects.toBe(lost);
  });
});
