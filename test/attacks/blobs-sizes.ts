import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { fsGet } from '../../src/activities/blocks/fs-get';
import { makeContext } from '../helpers/block-context';
import { type AttackCase, described, outcomeOf, refusedWith } from './attack';
import { ACME, type BlobWorld } from './blobs-world';

type BlobCase = AttackCase<BlobWorld>;

const MIB = 1_048_576;
const ENTRIES = 20_000;

const text = (content: string) => Buffer.from(content);

/** JSON in a blob, which a flow may have got from anywhere, as `fs.get` gives it. */
async function getJson(world: BlobWorld, content: string) {
  await world.store.put(ACME, 'json', text(content));
  try {
    return await outcomeOf(() => fsGet({ path: 'json', as: 'json' }, makeContext({ blobs: world.store })));
  } finally {
    await world.store.delete(ACME, 'json');
  }
}

const JSON_BOMBS: readonly (readonly [string, () => string])[] = [
  ['3 million empty objects', () => `[${'{},'.repeat(3_000_000)}{}]`],
  ['13 million numbers', () => `[${'1,'.repeat(13_000_000)}1]`],
  ['600,000 names', () => `{${Array.from({ length: 600_000 }, (_, index) => `"${index.toString(36)}":0`).join(',')}}`],
  ['a million levels', () => `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`],
  ['501 levels', () => `${'['.repeat(501)}${']'.repeat(501)}`],
];

/** Pointers by the thousand, as many puts would leave them. */
async function fillFolder(world: BlobWorld): Promise<void> {
  await world.renew();
  await world.store.put(ACME, 'many/0', text('x'));
  const folder = join(world.root, 'acme=t/blobs/many=d');
  const pointer = JSON.parse(await readFile(join(folder, '0=b'), 'utf8')) as object;
  for (let index = 1; index < ENTRIES; index++) {
    await writeFile(join(folder, `${index}=b`), JSON.stringify({ ...pointer, path: `many/${index}` }));
  }
}

/** How often other work had its turn while something ran. */
async function countTurns(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isDone = true;
  return turns;
}

/** Contents, properties and folders that are too large. */
export const sizeCases: readonly BlobCase[] = [
  ...JSON_BOMBS.map(
    ([what, content]): BlobCase => ({
      kind: 'sizes',
      name: `JSON of ${what}`,
      attempt: async (world) => refusedWith(await getJson(world, content()), ['BLW_FS_CONTENT']),
    }),
  ),
  ...[65_537, 10 * MIB].map(
    (length): BlobCase => ({
      kind: 'sizes',
      name: `a content type of ${length} characters`,
      attempt: async ({ store }) =>
        refusedWith(await outcomeOf(() => store.put(ACME, 'a', text('x'), { contentType: 'x'.repeat(length) })), [
          'BLW_ARG_INVALID',
        ]),
    }),
  ),
  {
    kind: 'sizes',
    name: 'a content without an end',
    attempt: async (world) => {
      const endless = Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(65_536);
        })(),
      );
      const outcome = await outcomeOf(() => world.store.put(ACME, 'a', endless, { maxBytes: 4 * MIB }));
      return refusedWith(outcome, ['BLW_HTTP_TOO_LARGE']) ?? (await world.findDamage());
    },
  },
  {
    kind: 'sizes',
    name: 'a content that never comes',
    attempt: async (world) => {
      const controller = new AbortController();
      const put = outcomeOf(() => world.store.put(ACME, 'never', new PassThrough(), { signal: controller.signal }));
      controller.abort(new Error('the time is up'));
      const outcome = await put;
      if ('value' in outcome) return described(outcome);
      return (await world.store.stat(ACME, 'never')) === undefined ? undefined : 'half a blob is there';
    },
  },
  {
    kind: 'sizes',
    name: 'a read of more than is wanted',
    attempt: async ({ store }) => {
      await store.put(ACME, 'large', Buffer.alloc(2 * MIB));
      return refusedWith(await outcomeOf(() => store.read(ACME, 'large', MIB)), ['BLW_FS_TOO_LARGE']);
    },
  },
  {
    kind: 'sizes',
    name: `a list of a folder of ${ENTRIES} blobs leaves others their turn`,
    attempt: async (world) => {
      await fillFolder(world);
      let listed = 0;
      const turns = await countTurns(async () => {
        listed = (await world.store.list(ACME, { prefix: 'many/', limit: 100 })).entries.length;
      });
      if (listed !== 100) return `${listed} were listed`;
      return turns >= ENTRIES / 1_024 ? undefined : `others had ${turns} turns`;
    },
  },
  {
    kind: 'sizes',
    name: 'fine: JSON of 200,000 rows',
    isControl: true,
    attempt: async (world) => {
      const outcome = await getJson(world, `[${'{"id":1,"name":"abc"},'.repeat(200_000)}0]`);
      return 'value' in outcome ? undefined : described(outcome);
    },
  },
  {
    kind: 'sizes',
    name: 'fine: a blob of 8 MiB with a content type',
    isControl: true,
    attempt: async ({ store }) => {
      await store.put(ACME, 'large', Buffer.alloc(8 * MIB, 1), { contentType: `text/plain; a=${'b'.repeat(1_000)}` });
      const read = await store.read(ACME, 'large', 10 * MIB);
      await store.delete(ACME, 'large');
      return read?.content.length === 8 * MIB && read.info.contentType?.startsWith('text/plain')
        ? undefined
        : 'it is not there';
    },
  },
];
