import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockFailure } from '../../src/activities/block-failure';
import { canHold } from '../../src/activities/ports/open-folders';
import { type AttackCase, described, outcomeOf } from './attack';
import { ACME, type BlobWorld, GLOBEX, OUTSIDE_SECRET, SECRET } from './blobs-world';

type BlobCase = AttackCase<BlobWorld>;

/** Rounds of put, get, list, delete and sweep against the other process. */
const ROUNDS = 60;

/**
 * Puts a link in the place of a folder and back, again and again, as fast as it can, and takes away what the store makes there
 * meanwhile. The folder waits beside under another name.
 */
const SWAPPER = `
  const fs = require('fs');
  const [target, outside] = process.argv.slice(1);
  const [link, real] = [target + '.link', target + '.real'];
  const attempt = (work) => { try { work(); return true; } catch { return false; } };
  const spin = (most) => { for (let end = Math.random() * most, i = 0; i < end; i++) Math.sqrt(i); };
  const isFolder = (path) => fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  console.log('swapping');
  for (;;) {
    if (fs.lstatSync(link, { throwIfNoEntry: false }) === undefined) attempt(() => fs.symlinkSync(outside, link));
    if (!attempt(() => fs.renameSync(target, real))) { spin(1000); continue; }
    if (!attempt(() => fs.renameSync(link, target))) attempt(() => fs.rmSync(target, { recursive: true, force: true }));
    spin(30000);
    attempt(() => fs.renameSync(target, link));
    while (isFolder(real) && !attempt(() => fs.renameSync(real, target))) {
      attempt(() => fs.rmSync(target, { recursive: true, force: true }));
    }
    spin(50000);
  }`;

interface Race {
  readonly what: string;
  /** Below the attacker's folder; empty for the folder itself. */
  readonly folder: string;
  /** Whether the link leads to the other tenant's folder of the same name, or outside. */
  readonly leadsTo: 'outside' | 'tenant';
}

const RACES: readonly Race[] = (['outside', 'tenant'] as const).flatMap((leadsTo) =>
  ['', 'blobs', 'blobs/d=d', 'objects', 'temporary', 'deleted'].map((folder) => ({
    what: `${folder === '' ? 'the folder of the tenant' : folder} and ${leadsTo === 'outside' ? 'a folder outside' : "the other tenant's"}`,
    folder,
    leadsTo,
  })),
);

async function race(world: BlobWorld, { folder, leadsTo }: Race): Promise<string | undefined> {
  await world.renew();
  await world.store.put(ACME, 'd/a', Buffer.from('a'));
  await world.store.put(GLOBEX, 'd/a', Buffer.from(SECRET));
  for (const tenant of [ACME, GLOBEX]) {
    await world.store.put(tenant, 'd/gone', Buffer.from('gone'));
    await world.store.delete(tenant, 'd/gone', { idempotencyKey: 'gone' });
  }
  const elsewhere = leadsTo === 'tenant' ? join(world.root, 'globex=t', folder) : await prepareOutside(world);
  world.settle();
  const swapper = await startSwapper(join(world.root, 'acme=t', folder), elsewhere);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [operation, run] of operations(world, round)) {
        const outcome = await outcomeOf(run);
        const isOurs = 'value' in outcome || outcome.error instanceof BlockFailure;
        const problem = isOurs ? world.findLoot(outcome) : described(outcome);
        if (problem !== undefined) return `${operation}, round ${round}: ${problem}`;
      }
    }
  } finally {
    swapper.kill('SIGKILL');
    await once(swapper, 'exit');
  }
  const others = await outcomeOf(() => world.store.read(GLOBEX, 'd/a', 1_000));
  if (!('value' in others) || others.value?.content.toString() !== SECRET)
    return `the other's blob: ${described(others)}`;
  return await world.findDamage();
}

function operations({ store }: BlobWorld, round: number): readonly (readonly [string, () => Promise<unknown>])[] {
  return [
    ['put', () => store.put(ACME, 'd/a', Buffer.from(`content ${round}`))],
    ['get', () => store.read(ACME, 'd/a', 1_000)],
    ['list', () => store.list(ACME, { prefix: '', limit: 10 })],
    ['delete', () => store.delete(ACME, 'd/a', { idempotencyKey: `k${round}` })],
    ['sweep', () => store.sweep({ graceMs: 3_600_000 })],
  ];
}

/** Folders outside that look like the store's own, with files old enough for a sweep. */
async function prepareOutside(world: BlobWorld): Promise<string> {
  const folder = join(world.outside, 'store');
  const old = new Date(0);
  for (const name of ['blobs/d=d', 'd=d', 'objects', 'temporary', 'deleted'])
    await mkdir(join(folder, name), { recursive: true });
  for (let index = 0; index < 256; index++) {
    const name = index.toString(16).padStart(2, '0');
    for (const place of [name, join('objects', name)]) await mkdir(join(folder, place), { recursive: true });
  }
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name, 'precious');
    await writeFile(file, OUTSIDE_SECRET);
    await utimes(file, old, old);
  }
  await writeFile(join(folder, 'precious'), OUTSIDE_SECRET);
  await utimes(join(folder, 'precious'), old, old);
  return folder;
}

async function startSwapper(target: string, elsewhere: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', SWAPPER, target, elsewhere], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** Folders that are swapped for links while the store uses them. Where the system cannot hold folders there is no such promise. */
export const raceCases: readonly BlobCase[] = canHold
  ? [
      ...RACES.map((one): BlobCase => ({ kind: 'races', name: one.what, attempt: (world) => race(world, one) })),
      {
        kind: 'races',
        name: 'fine: the same without anybody who swaps',
        isControl: true,
        attempt: async (world) => {
          await world.renew();
          for (let round = 0; round < 20; round++) {
            for (const [operation, run] of operations(world, round)) {
              const outcome = await outcomeOf(run);
              if ('error' in outcome) return `${operation}: ${described(outcome)}`;
            }
          }
          return undefined;
        },
      },
    ]
  : [];
