import { type AttackCase, type AttackSuite, described, label, outcomeOf, refusedWith } from './attack';
import * as tables from './blobs';
import { plantedCases } from './blobs-planted';
import { raceCases } from './blobs-races';
import { sizeCases } from './blobs-sizes';
import { ACME, BlobWorld, GLOBEX, OUTSIDE_SECRET, SECRET, sha256 } from './blobs-world';

type BlobCase = AttackCase<BlobWorld>;

const text = (content: string) => Buffer.from(content);

/** What can be done with a path. */
const OPERATIONS: Readonly<Record<string, (world: BlobWorld, path: string) => Promise<unknown>>> = {
  put: ({ store }, path) => store.put(ACME, path, text('mine')),
  get: ({ store }, path) => store.read(ACME, path, 1_000),
  stat: ({ store }, path) => store.stat(ACME, path),
  delete: ({ store }, path) => store.delete(ACME, path),
  'delete with a key': ({ store }, path) => store.delete(ACME, path, { idempotencyKey: '../../../outside/secret' }),
};

const badPaths: BlobCase[] = Object.entries(OPERATIONS).flatMap(([operation, run]) =>
  tables.BAD_PATHS.map((path) => ({
    kind: 'paths',
    name: `${operation} ${label(path)}`,
    attempt: async (world) => {
      const outcome = await outcomeOf(() => run(world, path));
      return refusedWith(outcome, ['BLW_FS_PATH']) ?? world.findLoot(outcome) ?? (await world.findDamage());
    },
  })),
);

const twins: BlobCase[] = tables.TWINS.map(([first, second]) => ({
  kind: 'twins',
  name: `${label(first)} and ${label(second)}`,
  attempt: async (world) => {
    const { store } = world;
    await store.put(ACME, first, text('first'));
    try {
      const other = await outcomeOf(() => store.read(ACME, second, 1_000));
      if ('value' in other ? other.value !== undefined : refusedWith(other, ['BLW_FS_PATH']) !== undefined) {
        return `the second one: ${described(other)}`;
      }
      const content = (await store.read(ACME, first, 1_000))?.content.toString();
      return content === 'first' ? await world.findDamage() : 'the first one is not there';
    } finally {
      await store.delete(ACME, first);
    }
  },
}));

const fine: BlobCase[] = tables.FINE_PATHS.flatMap((path) =>
  ['paths', 'twins'].map((kind) => ({
    kind,
    name: `fine: ${label(path)}`,
    isControl: true,
    attempt: async ({ store }: BlobWorld) => {
      await store.put(ACME, path, text(path));
      const back = (await store.read(ACME, path, 10_000))?.content.toString();
      const { entries } = await store.list(ACME, { prefix: path, limit: 10 });
      const wasThere = await store.delete(ACME, path);
      if (back !== path || !wasThere) return `it came back as ${String(back)}`;
      if (!entries.some((entry) => entry.path === path)) return 'it is not listed';
      return (await store.stat(ACME, path)) === undefined ? undefined : 'it is still there';
    },
  })),
);

const tenants: BlobCase[] = [
  ...tables.TENANTS.map((tenant) => ({
    kind: 'tenants',
    name: label(tenant),
    attempt: async (world: BlobWorld) => {
      await world.renew();
      const { store } = world;
      await store.put(tenant, 'secret', text('mine'));
      const all = await store.list(tenant, { prefix: '', limit: 10 });
      const own = (await store.read(tenant, 'secret', 1_000))?.content.toString();
      const others = (await store.read(GLOBEX, 'secret', 1_000))?.content.toString();
      await store.delete(tenant, 'secret');
      if (own !== 'mine' || others !== SECRET || all.entries.length !== 1)
        return 'it shares the space of another tenant';
      return await world.findDamage(tenant);
    },
  })),
  ...['', '\ud800', 'a\udfff'].map((tenant) => ({
    kind: 'tenants',
    name: `no name: ${label(tenant)}`,
    attempt: async (world: BlobWorld) =>
      refusedWith(await outcomeOf(() => world.store.list(tenant, { prefix: '', limit: 1 })), ['BLW_FS_PATH']),
  })),
  ...['acme', 'acme-2', 'Acme Inc.', 'ämme', '4711'].map((tenant) => ({
    kind: 'tenants',
    name: `fine: ${tenant}`,
    isControl: true,
    attempt: async (world: BlobWorld) => {
      await world.renew();
      const { store } = world;
      await store.put(tenant, 'fine/a', text('a'));
      const { entries } = await store.list(tenant, { prefix: 'fine/', limit: 10 });
      return (await store.delete(tenant, 'fine/a')) && entries.length === 1 ? undefined : 'it has no space';
    },
  })),
];

const lists: BlobCase[] = [
  ...tables.PREFIXES.flatMap((prefix) =>
    (['prefix', 'after'] as const).map((key) => ({
      kind: 'lists',
      name: `${key} ${label(prefix)}`,
      attempt: async (world: BlobWorld) => {
        const range = { prefix: '', limit: 1_000, [key]: prefix };
        const outcome = await outcomeOf(() => world.store.list(ACME, range));
        if ('error' in outcome) return refusedWith(outcome, ['BLW_FS_PATH']);
        const foreign = outcome.value.entries.find(({ path }) => path !== 'own');
        return foreign === undefined ? world.findLoot(outcome) : `it lists ${foreign.path}`;
      },
    })),
  ),
  ...['', 'o', 'own'].map((prefix) => ({
    kind: 'lists',
    name: `fine: ${label(prefix)}`,
    isControl: true,
    attempt: async ({ store }: BlobWorld) => {
      const { entries } = await store.list(ACME, { prefix, limit: 10 });
      return entries.length === 1 && entries[0]?.path === 'own' ? undefined : 'its own blob is not listed';
    },
  })),
];

const contents: BlobCase[] = [
  ...tables.INNER_NAMES.flatMap((nameOf, index) =>
    [SECRET, OUTSIDE_SECRET].map((content, which) => ({
      kind: "others' contents",
      name: `${label(nameOf('HASH'))} (${index}.${which})`,
      attempt: async (world: BlobWorld) => {
        const outcome = await outcomeOf(() => world.store.read(ACME, nameOf(sha256(content)), 10_000));
        if ('value' in outcome && outcome.value !== undefined) return described(outcome);
        return world.findLoot({
          ...outcome,
          ...('error' in outcome ? { error: String(outcome.error).replaceAll(sha256(content), '') } : {}),
        });
      },
    })),
  ),
  {
    kind: "others' contents",
    name: 'a precondition that asks whether another has a content',
    attempt: async (world) => {
      const ask = (hash: string) => outcomeOf(() => world.store.put(ACME, 'ask', text('x'), { ifMatch: hash }));
      const answers = [described(await ask(sha256(SECRET))), described(await ask(sha256('nobody has this')))];
      const [theirs, nobodys] = answers.map((answer) => answer.replace(/[0-9a-f]{64}/g, 'HASH'));
      return theirs === nobodys ? await world.findDamage() : 'the answers differ';
    },
  },
  {
    kind: "others' contents",
    name: 'deleting the same content as another has',
    attempt: async (world) => {
      await world.store.put(ACME, 'same', text(SECRET));
      await world.store.delete(ACME, 'same');
      await world.store.sweep({ graceMs: -1_000 });
      return await world.findDamage();
    },
  },
  {
    kind: "others' contents",
    name: 'fine: the same content as another has, of its own',
    isControl: true,
    attempt: async ({ store }) => {
      const { sha256: hash } = await store.put(ACME, 'same', text(SECRET));
      const back = (await store.read(ACME, 'same', 1_000))?.content.toString();
      await store.delete(ACME, 'same');
      return back === SECRET && hash === sha256(SECRET) ? undefined : 'it is not there';
    },
  },
];

/** Attacks on the blob store: with names, with what is planted in its folders, and with sizes. */
export const blobSuite: AttackSuite<BlobWorld> = {
  area: 'blobs',
  cases: [
    ...badPaths,
    ...twins,
    ...fine,
    ...lists,
    ...contents,
    ...sizeCases,
    ...tenants,
    ...plantedCases,
    ...raceCases,
  ],
  open: () => BlobWorld.open(),
  close: (world) => world.close(),
};
