import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync } from 'node:fs';
import { chmod, link, mkdir, open, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { BlockFailure } from '../../src/activities/block-failure';
import { createFileBlobStore } from '../../src/activities/ports/file-blob-store';
import { type AttackCase, described, type Outcome, outcomeOf } from './attack';
import { ACME, type BlobWorld, GLOBEX, SECRET, sha256 } from './blobs-world';

type BlobCase = AttackCase<BlobWorld>;

const CONTENT = 'planted';
const HASH = sha256(CONTENT);
const EMPTY = sha256('');

/** Where something is planted, below the root; the blob `d/a` of the attacker has the content `planted`. */
const PLACES: Readonly<Record<string, { readonly path: string; readonly isFolder: boolean }>> = {
  'the folder of the tenant': { path: 'acme=t', isFolder: true },
  'the tree of pointers': { path: 'acme=t/blobs', isFolder: true },
  'a folder of the tree': { path: 'acme=t/blobs/d=d', isFolder: true },
  'a pointer': { path: 'acme=t/blobs/d=d/a=b', isFolder: false },
  'the objects': { path: 'acme=t/objects', isFolder: true },
  'a folder of objects': { path: `acme=t/objects/${HASH.slice(0, 2)}`, isFolder: true },
  'an object': { path: `acme=t/objects/${HASH.slice(0, 2)}/${HASH}`, isFolder: false },
  'the empty object': { path: `acme=t/objects/${EMPTY.slice(0, 2)}/${EMPTY}`, isFolder: false },
  'the temporary files': { path: 'acme=t/temporary', isFolder: true },
  'what was deleted': { path: 'acme=t/deleted', isFolder: true },
  'a pointer that was kept': { path: `acme=t/deleted/${sha256('k\0d/gone')}`, isFolder: false },
};

/** Puts something in the place of what the store has made there. */
type Plant = (world: BlobWorld, place: string) => Promise<void>;

const theirs = (place: string) => place.replace('acme=t', 'globex=t');
const theirObject = (world: BlobWorld) =>
  join(world.root, 'globex=t/objects', sha256(SECRET).slice(0, 2), sha256(SECRET));
const theirPointer = (world: BlobWorld) => join(world.root, 'globex=t/blobs/secret=b');
const mkfifo = (path: string): void => {
  execFileSync('mkfifo', [path], { stdio: 'pipe' });
};

const FOLDER_PLANTS: Readonly<Record<string, Plant>> = {
  'a link to a folder outside': (world, place) => symlink(world.outside, place),
  "a link to the other tenant's": async (_world, place) => {
    await mkdir(theirs(place), { recursive: true });
    await symlink(theirs(place), place);
  },
  'a relative link upwards': (_world, place) => symlink('../../outside', place),
  'a link to nowhere': (world, place) => symlink(join(world.outside, 'new'), place),
  'a link to itself': (_world, place) => symlink(place, place),
  'a link to /proc/self/root': (_world, place) => symlink('/proc/self/root/', place),
  'a link to a file': (world, place) => symlink(join(world.outside, 'secret'), place),
  'a file': (_world, place) => writeFile(place, 'a file'),
  'a pipe': async (_world, place) => mkfifo(place),
};

const FILE_PLANTS: Readonly<Record<string, Plant>> = {
  'a link to a file outside': (world, place) => symlink(join(world.outside, 'secret'), place),
  "a link to the other tenant's content": (world, place) => symlink(theirObject(world), place),
  "a link to the other tenant's pointer": (world, place) => symlink(theirPointer(world), place),
  'a link to a folder': (world, place) => symlink(world.outside, place),
  'a link to nowhere': (world, place) => symlink(join(world.outside, 'new'), place),
  'a link to itself': (_world, place) => symlink(place, place),
  'a link to a device': (_world, place) => symlink('/dev/zero', place),
  'a link to the standard input': (_world, place) => symlink('/proc/self/fd/0', place),
  'a second name of a file outside': (world, place) => link(join(world.outside, 'secret'), place),
  "a second name of the other tenant's content": (world, place) => link(theirObject(world), place),
  "a second name of the other tenant's pointer": (world, place) => link(theirPointer(world), place),
  'a folder': async (_world, place) => {
    await mkdir(join(place, 'inner'), { recursive: true });
  },
  'a pipe': async (_world, place) => mkfifo(place),
  'a pipe that somebody fills': async (world, place) => world.onRenew(await fillPipe(place)),
  'a socket': async (_world, place) => listenAt(place),
  'a file of 10 GiB': async (_world, place) => {
    await writeFile(place, '');
    await truncate(place, 10 * 1_073_741_824);
  },
  'an empty file': (_world, place) => writeFile(place, ''),
  'a file that nobody may read': async (_world, place) => {
    await writeFile(place, 'x');
    await chmod(place, 0);
  },
};

/** Keeps a pipe open, and writes to it whatever is taken. */
async function fillPipe(place: string): Promise<() => Promise<void>> {
  mkfifo(place);
  const pipe = await open(place, constants.O_RDWR | constants.O_NONBLOCK);
  const fill = () => pipe.write(Buffer.alloc(4_096)).then(undefined, () => undefined);
  const timer = setInterval(fill, 1);
  return async () => {
    clearInterval(timer);
    await pipe.close();
  };
}

/** A socket's file stays when its server has gone. Paths of sockets are short, so it is made beside and moved. */
async function listenAt(place: string): Promise<void> {
  const short = `/tmp/blw-${process.pid}.sock`;
  const server = createServer().listen(short);
  await once(server, 'listening');
  await rename(short, place);
  await new Promise((resolve) => server.close(resolve));
}

const OPERATIONS: Readonly<Record<string, (world: BlobWorld) => Promise<unknown>>> = {
  put: ({ store }) => store.put(ACME, 'd/a', Buffer.from(CONTENT)),
  'put of another blob': ({ store }) => store.put(ACME, 'd/b', Buffer.from(CONTENT)),
  get: ({ store }) => store.read(ACME, 'd/a', 1_000_000),
  'get of the empty blob': ({ store }) => store.read(ACME, 'empty', 1_000_000),
  stat: ({ store }) => store.stat(ACME, 'd/a'),
  list: ({ store }) => store.list(ACME, { prefix: '', limit: 100 }),
  'list below': ({ store }) => store.list(ACME, { prefix: 'd/', limit: 100 }),
  delete: ({ store }) => store.delete(ACME, 'd/a', { idempotencyKey: 'k' }),
  'delete again': ({ store }) => store.delete(ACME, 'd/gone', { idempotencyKey: 'k', isRetry: true }),
  sweep: ({ store }) => store.sweep({ graceMs: -60_000 }),
};

const OLD = new Date(0);

/** The blobs that are attacked: `d/a` with its content, `empty`, and one that was deleted. */
async function prepare(world: BlobWorld): Promise<void> {
  await world.store.put(ACME, 'd/a', Buffer.from(CONTENT));
  await world.store.put(ACME, 'empty', Buffer.alloc(0));
  await world.store.put(ACME, 'd/gone', Buffer.from('gone'));
  await world.store.delete(ACME, 'd/gone', { idempotencyKey: 'k' });
  // A sweep takes what is old.
  await utimes(join(world.outside, 'secret'), OLD, OLD);
}

/** Every operation meets what was planted as it was planted. */
async function tryPlanted(world: BlobWorld, path: string, plant: Plant): Promise<string | undefined> {
  for (const [operation, run] of Object.entries(OPERATIONS)) {
    await world.renew(prepare);
    const place = join(world.root, path);
    await rm(place, { recursive: true, force: true });
    await mkdir(dirname(place), { recursive: true });
    await plant(world, place);
    world.settle();
    const outcome = await outcomeOf(() => run(world));
    const problem = findProblem(world, outcome) ?? (await world.findDamage());
    if (problem !== undefined) return `${operation}: ${problem}`;
  }
  return undefined;
}

/** Anything but the secrets of others is fine, as long as it comes at all and a failure is one of ours. */
function findProblem(world: BlobWorld, outcome: Outcome<unknown>): string | undefined {
  if ('error' in outcome && !(outcome.error instanceof BlockFailure)) return described(outcome);
  return world.findLoot(outcome);
}

const plantedInPlaces: BlobCase[] = Object.entries(PLACES).flatMap(([what, { path, isFolder }]) =>
  Object.entries(isFolder ? FOLDER_PLANTS : FILE_PLANTS).map(([planted, plant]) => ({
    kind: 'planted files',
    name: `${planted} as ${what}`,
    attempt: (world) => tryPlanted(world, path, plant),
  })),
);

/** The store's own files, which are not of one tenant. */
const plantedAtRoot: BlobCase[] = (
  [
    ['a link to a file outside', (world, place) => symlink(join(world.outside, 'secret'), place)],
    ['a link to nowhere', (world, place) => symlink(join(world.outside, 'new'), place)],
    ['a pipe', async (_world, place) => mkfifo(place)],
    ['a folder', (_world, place) => mkdir(place)],
  ] satisfies [string, Plant][]
).map(([planted, plant]) => ({
  kind: 'planted files',
  name: `${planted} as the lock`,
  attempt: async (world) => {
    await world.renew();
    const root = join(world.base, 'other-root');
    await mkdir(root);
    await plant(world, join(root, 'lock.sqlite'));
    world.settle();
    const outcome = await outcomeOf(() => createFileBlobStore({ root }));
    if ('value' in outcome) outcome.value.close();
    return 'value' in outcome ? 'the store opened it' : await world.findDamage();
  },
}));

const controls: BlobCase[] = [
  {
    kind: 'planted files',
    name: 'fine: foreign files beside the blobs',
    isControl: true,
    attempt: async (world) => {
      await world.renew();
      await mkdir(join(world.root, 'acme=t/blobs/lost+found'));
      await writeFile(join(world.root, 'acme=t/blobs/notes.txt'), 'mine');
      await world.store.put(ACME, 'd/a', Buffer.from(CONTENT));
      const { entries } = await world.store.list(ACME, { prefix: '', limit: 10 });
      await world.store.sweep({ graceMs: 0 });
      const isKept = existsSync(join(world.root, 'acme=t/blobs/notes.txt'));
      return isKept && entries.map(({ path }) => path).join() === 'd/a,own' ? undefined : 'they are in the way';
    },
  },
  {
    kind: 'planted files',
    name: 'fine: the root as a link',
    isControl: true,
    attempt: async (world) => {
      await world.renew();
      await symlink(world.root, join(world.base, 'link'));
      const store = await createFileBlobStore({ root: join(world.base, 'link') });
      try {
        await store.put(ACME, 'd/a', Buffer.from(CONTENT));
        const read = await world.store.read(ACME, 'd/a', 100);
        return read?.content.toString() === CONTENT ? undefined : 'it is another store';
      } finally {
        store.close();
      }
    },
  },
  {
    kind: 'planted files',
    name: 'fine: an object that a put mends',
    isControl: true,
    attempt: async (world) => {
      await world.renew();
      await world.store.put(ACME, 'd/a', Buffer.from(CONTENT));
      const object = join(world.root, PLACES['an object']?.path ?? '');
      await rm(object);
      await symlink(theirObject(world), object);
      await world.store.put(ACME, 'd/a', Buffer.from(CONTENT));
      const read = await world.store.read(ACME, 'd/a', 100);
      const others = await world.store.read(GLOBEX, 'secret', 100);
      return read?.content.toString() === CONTENT && others !== undefined ? undefined : 'it is not mended';
    },
  },
];

/** Links, pipes and devices in the store's folders. */
export const plantedCases: readonly BlobCase[] = [...plantedInPlaces, ...plantedAtRoot, ...controls];
