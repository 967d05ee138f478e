import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Payload } from '@temporalio/common';
import { ClaimCodec, type CodecRole } from '../../src/activities/payloads/claim-codec';
import { objectFile, PayloadStore } from '../../src/activities/payloads/payload-store';
import { INLINE_METADATA } from '../../src/dsl/inline-values';
import type { JsonObject } from '../../src/dsl/json';
import { lostPayloadOf } from '../../src/dsl/undecodable';

const MINE = { type: 'workflow', namespace: 'default', workflowId: 'order-1' } as const;

let blobRoot: string;
let store: PayloadStore;
beforeEach(async () => {
  blobRoot = mkdtempSync(join(tmpdir(), 'claims-'));
  store = new PayloadStore({ blobRoot, canCreate: true });
  await store.key();
});
afterEach(() => rmSync(blobRoot, { recursive: true, force: true }));

const codec = (role: CodecRole = 'worker', namespace = 'default', at = store) =>
  new ClaimCodec({ store: at, namespace, role });

function payload(bytes: number, metadata: Record<string, string> = { encoding: 'json/plain' }): Payload {
  const entries = Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value)]);
  return { metadata: Object.fromEntries(entries), data: Buffer.alloc(bytes, 'x') };
}

const jsonOf = ({ data }: Payload) => JSON.parse(Buffer.from(data ?? []).toString()) as JsonObject;
const encodingOf = ({ metadata }: Payload) => Buffer.from(metadata?.encoding ?? []).toString();

async function claimOn(original: Payload, context = MINE): Promise<Payload> {
  const [claim] = await codec().encode([original], context);
  if (claim === undefined) throw new Error('no claim');
  return claim;
}

async function redeem(claim: Payload, context: Parameters<ClaimCodec['decode']>[1] = MINE, by = codec()) {
  const [original] = await by.decode([claim], context);
  if (original === undefined) throw new Error('no payload');
  return original;
}

test('a payload of 256 KiB stays, one byte more becomes a claim of some 300 bytes that people can read', async () => {
  const [small, large] = await codec().encode([payload(262_144), payload(262_145)], MINE);
  expect(encodingOf(small as Payload)).toBe('json/plain');
  expect(encodingOf(large as Payload)).toBe('beamline/claim-check');
  expect((large as Payload).data?.length).toBeLessThan(400);
  expect(jsonOf(large as Payload)).toEqual({
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    size: 262_145,
    encoding: 'json/plain',
    workflow: 'order-1',
    store: expect.stringMatching(/^[0-9a-f]{16}$/),
    signature: expect.any(String),
  });
});

test('comes back with all of its metadata', async () => {
  const original = payload(300_000, { encoding: 'binary/protobuf', messageType: 'some.Type', odd: 'ÿ' });
  const back = await redeem(await claimOn(original));
  expect(Buffer.from(back.data ?? []).equals(original.data as Buffer)).toBe(true);
  expect(Object.entries(back.metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString()])).toEqual([
    ['encoding', 'binary/protobuf'],
    ['messageType', 'some.Type'],
    ['odd', 'ÿ'],
  ]);
});

test('an activity reads what its workflow sent, and the other way round', async () => {
  const activity = { type: 'activity', namespace: 'default', workflowId: 'order-1', isLocal: false } as const;
  expect((await redeem(await claimOn(payload(300_000)), activity)).data).toHaveLength(300_000);
});

describe('is not redeemed', () => {
  const denied = async (claim: Payload, context: Parameters<ClaimCodec['decode']>[1] = MINE, by = codec()) => {
    expect(lostPayloadOf(jsonOf(await redeem(claim, context, by)))).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
    await expect(redeem(claim, context, codec('client'))).rejects.toMatchObject({
      data: { code: 'BLW_PAYLOAD_DENIED' },
    });
  };

  test('for another workflow, or for none', async () => {
    const claim = await claimOn(payload(300_000));
    await denied(claim, { ...MINE, workflowId: 'order-2' });
    await denied(claim, { type: 'activity', namespace: 'default', isLocal: false });
  });

  test('in another namespace', async () => {
    const claim = await claimOn(payload(300_000));
    const there = await redeem(claim, MINE, codec('worker', 'other'));
    expect(lostPayloadOf(jsonOf(there))).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
  });

  test.each([
    ['sha256', 'a'.repeat(64)],
    ['size', 1],
    ['encoding', 'binary/plain'],
    ['metadata', { messageType: 'eA==' }],
    ['signature', ''],
    ['sha256', '../../../etc/passwd'],
    ['size', '300000'],
    ['store', '0000000000000000'],
  ])('with another %s', async (key, value) => {
    const claim = await claimOn(payload(300_000));
    await denied({ ...claim, data: Buffer.from(JSON.stringify({ ...jsonOf(claim), [key]: value })) });
  });

  test('by a store that did not make it, which is told', async () => {
    const claim = await claimOn(payload(300_000));
    const other = new PayloadStore({ blobRoot: join(blobRoot, 'other'), canCreate: true });
    await expect(redeem(claim, MINE, codec('client', 'default', other))).rejects.toThrow(/--blob-root/);
  });
});

test('a worker gets a value that says so for lost content, a client an error', async () => {
  const claim = await claimOn(payload(300_000));
  rmSync(objectFile(store.folder, String(jsonOf(claim).sha256)));
  expect(lostPayloadOf(jsonOf(await redeem(claim)))).toMatchObject({ code: 'BLW_PAYLOAD_MISSING' });
  await expect(redeem(claim, MINE, codec('client'))).rejects.toMatchObject({ data: { code: 'BLW_PAYLOAD_MISSING' } });
});

test('a store that cannot be reached is thrown on a worker too, so that Temporal tries again', async () => {
  const claim = await claimOn(payload(300_000));
  rmSync(store.folder, { recursive: true });
  await expect(redeem(claim)).rejects.toMatchObject({ type: 'BLW_PAYLOAD_STORE' });
});

test('where the store cannot be written, a worker sends what Temporal takes as it is, and fails with the rest', async () => {
  writeFileSync(join(store.folder, 'objects'), 'in the way');
  const [inline] = await codec().encode([payload(1_000_000)], MINE);
  expect(encodingOf(inline as Payload)).toBe('json/plain');
  await expect(codec().encode([payload(2_000_000)], MINE)).rejects.toMatchObject({
    type: 'BLW_PAYLOAD_STORE',
    nonRetryable: true,
  });
});

test('what is marked to stay readable stays as it is up to 1.9 MB, and the mark does not leave the worker', async () => {
  const marked = (size: number): Payload => {
    const { metadata, ...rest } = payload(size);
    return { ...rest, metadata: { ...metadata, [INLINE_METADATA]: Buffer.from('json/plain') } };
  };
  expect(await codec().encode([marked(10), marked(1_000_000)], MINE)).toEqual([payload(10), payload(1_000_000)]);
  const [claim] = await codec().encode([marked(2_000_000)], MINE);
  expect(await redeem(claim as Payload)).toEqual(payload(2_000_000));
});

test('a client sends at most 100 MiB', async () => {
  await expect(codec('client').encode([payload(104_857_601)], MINE)).rejects.toMatchObject({
    data: { code: 'BLW_PAYLOAD_TOO_LARGE' },
  });
});

test('a replay writes nothing', async () => {
  const large = payload(300_000);
  expect(await codec('replay').encode([large], MINE)).toEqual([large]);
});
