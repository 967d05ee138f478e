import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { decodeTreeName, encodeBlob, encodeTenant, parseBlobPath } from '../../src/activities/ports/blob-path';
import { bytes, filesUnder, sha256, shown, summary, TENANT, useBlobStore } from '../helpers/blob-store-fixture';

const blobs = useBlobStore();

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
      blobs.store.put(TENANT, path, bytes('x')),
      blobs.store.stat(TENANT, path),
      blobs.store.read(TENANT, path, 10),
      blobs.store.delete(TENANT, path),
    ]) {
      const failure = await blobs.failureOf(work);
      expect(summary(failure)).toEqual({ code: 'BLW_FS_PATH', retryable: false });
      expect(failure.message).toContain(reason);
    }
    expect(await filesUnder(blobs.root)).toEqual([join(blobs.root, 'lock.sqlite')]);
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
    for (const path of paths) await blobs.store.put(TENANT, path, bytes(`content of ${path}`));
    for (const path of paths) expect(await blobs.contentOf(path)).toBe(`content of ${path}`);
    const { entries } = await blobs.store.list(TENANT, { prefix: '', limit: 1000 });
    expect(entries.map((entry) => entry.path)).toEqual([...paths].sort());
    for (const file of await filesUnder(blobs.root)) expect(file.slice(blobs.root.length)).toMatch(/^[a-z0-9_.%=/-]+$/);
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
          await Promise.all(paths.map((path) => blobs.store.put(tenant, path, bytes(path))));
          const prefix = (paths[pick % paths.length] ?? '').slice(0, cut % 8).replace(/\p{Cs}$/u, '');
          const listed: string[] = [];
          let after: string | undefined;
          do {
            const page = await blobs.store.list(tenant, { prefix, limit, ...(after === undefined ? {} : { after }) });
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
    for (const path of paths) await blobs.store.put(TENANT, path, bytes('x'));
    for (const after of ['', 'a', 'a/', 'a/b', 'a/bb', 'a/c', 'a/c/d', 'a/z', 'a0', 'zzz', '/', '..']) {
      const { entries } = await blobs.store.list(TENANT, { prefix: '', limit: 10, after });
      expect(entries.map((entry) => entry.path)).toEqual(paths.filter((path) => path > after));
    }
  });

  test('reads only the folders that a prefix leads to', async () => {
    await blobs.store.put(TENANT, 'wanted/x', bytes('x'));
    await blobs.store.put(TENANT, 'other/y', bytes('y'));
    await writeFile(blobs.pointerFile('other/y'), 'not a pointer');
    await writeFile(join(dirname(blobs.pointerFile('wanted/x')), 'README'), 'a foreign file');
    const { entries, next } = await blobs.store.list(TENANT, { prefix: 'wanted/', limit: 10 });
    expect(entries).toEqual([{ path: 'wanted/x', size: 1, sha256: sha256('x'), modifiedAt: expect.any(Date) as Date }]);
    expect(next).toBeUndefined();
    expect(summary(await blobs.failureOf(blobs.store.list(TENANT, { prefix: 'o', limit: 10 }))).code).toBe('BLW_FS_IO');
  });

  test.each(
    ['/', '../', 'a/../b', 'a//', 'a\\', 'a\0', 'x'.repeat(1025)].map((prefix) => [shown(prefix), prefix] as const),
  )('refuses the prefix %s', async (_, prefix) => {
    expect(summary(await blobs.failureOf(blobs.store.list(TENANT, { prefix, limit: 1 })))).toEqual({
      code: 'BLW_FS_PATH',
      retryable: false,
    });
  });

  test.each(
    ['..', '.', '/', '../acme', 'ACME', 'Acme', 'con', 'a\0b', 'x'.repeat(300), 'X'.repeat(300), 'ä', 'acme=t'].map(
      (tenant) => [shown(tenant), tenant] as const,
    ),
  )('gives the tenant %s a space of its own', async (_, tenant) => {
    await blobs.store.put(TENANT, 'a', bytes('ours'));
    await blobs.store.put(tenant, 'a', bytes('theirs'));
    expect(await blobs.contentOf('a')).toBe('ours');
    expect((await blobs.store.read(tenant, 'a', 100))?.content.toString()).toBe('theirs');
    expect((await blobs.store.list(tenant, { prefix: '', limit: 10 })).entries).toHaveLength(1);
    expect(encodeTenant(tenant)).toMatch(/^[a-z0-9_.%-]{1,200}=[th]$/);
    expect(await readdir(blobs.base)).toEqual(['root']);
  });

  test.each(['', '\ud800'])('refuses the tenant %j', async (tenant) => {
    expect(summary(await blobs.failureOf(blobs.store.stat(tenant, 'a')))).toEqual({
      code: 'BLW_FS_PATH',
      retryable: false,
    });
  });
});
