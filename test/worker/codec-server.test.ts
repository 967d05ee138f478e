import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Payload } from '@temporalio/common';
import { ClaimCodec } from '../../src/activities/payloads/claim-codec';
import { EncryptionCodec } from '../../src/activities/payloads/encryption-codec';
import { KeyRing } from '../../src/activities/payloads/key-ring';
import { PayloadStore } from '../../src/activities/payloads/payload-store';
import type { JsonObject } from '../../src/dsl/json';
import { type CodecAccess, identityAccess, OPEN_ACCESS, tokenAccess } from '../../src/worker/codec-server/access';
import { payloadFromJson, payloadToJson } from '../../src/worker/codec-server/payload-json';
import { RemoteCodec } from '../../src/worker/codec-server/remote-codec';
import { type CodecServer, type CodecServerOptions, startCodecServer } from '../../src/worker/codec-server/server';
import { identityPolicy, makeIdentity, policySource, tenantPolicy } from '../helpers/identity';

const keys = new KeyRing(
  new Map(['acme', 'other'].map((tenant) => [tenant, [{ id: 'k', secret: new Uint8Array(randomBytes(32)) }]])),
);
const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const store = new PayloadStore({ blobRoot: folder, canCreate: true });
const logged: string[] = [];
const servers: CodecServer[] = [];
const UI = 'http://localhost:8233';
let base: string;

beforeAll(async () => {
  base = await start({});
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: Partial<CodecServerOptions>): Promise<string> {
  const server = await startCodecServer({
    host: '127.0.0.1',
    port: 0,
    codec: new RemoteCodec({ keys, store, maxBytes: 1_000_000 }),
    access: OPEN_ACCESS,
    origins: [UI],
    isLoopbackOnly: true,
    namespace: 'default',
    maxBytes: 1_000_000,
    logger: { log: (...line) => logged.push(JSON.stringify(line)) },
    ...options,
  });
  servers.push(server);
  return server.url;
}

const plain = (value: unknown): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify(value)),
});

/** As a worker writes it, in a workflow. */
async function sealed(
  value: unknown,
  { tenant = 'acme', namespace = 'default', workflowId = 'order-1' } = {},
): Promise<Payload> {
  const context = { type: 'workflow' as const, namespace, workflowId };
  let payloads = [plain(value)];
  const codecs = [
    new EncryptionCodec({ keys, namespace, role: 'client', tenant }),
    new ClaimCodec({ store, namespace, role: 'client' }),
  ];
  for (const codec of codecs) payloads = await codec.encode(payloads, context);
  return payloads[0] as Payload;
}

async function call(path: string, payloads: readonly Payload[], init: RequestInit = {}, url = base) {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ payloads: payloads.map(payloadToJson) }),
    ...init,
  });
  const text = await response.text();
  return { response, status: response.status, json: (text === '' ? {} : JSON.parse(text)) as JsonObject };
}

function valuesOf(json: JsonObject): unknown[] {
  return (json.payloads as JsonObject[]).map((payload) => {
    const { data = new Uint8Array() } = payloadFromJson(payload) as Payload;
    return JSON.parse(Buffer.from(data as Uint8Array).toString());
  });
}

describe('decode', () => {
  test('decrypts payloads of all tenants, and leaves all others as they are', async () => {
    const payloads = [await sealed({ a: 1 }), plain('x'), await sealed([2], { tenant: 'other', workflowId: 'w' })];
    const { status, json } = await call('/decode', payloads);
    expect(status).toBe(200);
    expect(valuesOf(json)).toEqual([{ a: 1 }, 'x', [2]]);
  });

  test('gives back what it leaves as it came, with fields that it does not know', async () => {
    const body = { payloads: [{ ...payloadToJson(plain(1)), externalPayloads: [{ sizeBytes: '3' }] }] };
    const { json } = await call('/decode', [], { body: JSON.stringify(body) });
    expect(json).toEqual(body);
  });

  test('resolves claims on large payloads, encrypted ones and others', async () => {
    const large = 'x'.repeat(300_000);
    const claims = [await sealed(large), await sealed(large, { tenant: 'nobody' })];
    expect(claims.map(({ metadata }) => Buffer.from(metadata?.encoding ?? []).toString())).toEqual([
      'beamline/claim-check',
      'beamline/claim-check',
    ]);
    expect(valuesOf((await call('/decode', claims)).json)).toEqual([large, large]);
  });

  test('leaves claims that together are too large for an answer', async () => {
    const claims = await Promise.all([1, 2, 3, 4].map(() => sealed('x'.repeat(300_000))));
    const values = valuesOf((await call('/decode', claims)).json);
    expect(values.map((value) => typeof value)).toEqual(['string', 'string', 'string', 'object']);
  });

  test('leaves claims where it has no store', async () => {
    const url = await start({ codec: new RemoteCodec({ keys, maxBytes: 1_000_000 }) });
    const claim = await sealed('x'.repeat(300_000));
    expect((await call('/decode', [claim], {}, url)).json).toEqual({ payloads: [payloadToJson(claim)] });
  });

  test.each([
    [
      'changed',
      async () =>
        tampered(await sealed('s'), ({ data }) => {
          data[30] = (data[30] ?? 0) ^ 1;
        }),
      'BLW_PAYLOAD_DENIED',
    ],
    ['of another namespace', () => sealed('s', { namespace: 'elsewhere' }), 'BLW_PAYLOAD_DENIED'],
    [
      'with another workflow written on it',
      async () =>
        tampered(await sealed('s'), ({ metadata }) => {
          metadata['beamline-workflow'] = Buffer.from('w2');
        }),
      'BLW_PAYLOAD_DENIED',
    ],
    [
      'with a key that is not here',
      async () =>
        tampered(await sealed('s'), ({ metadata }) => {
          metadata['encryption-key-id'] = Buffer.from('k0');
        }),
      'BLW_PAYLOAD_KEY',
    ],
    [
      'that is a claim for another workflow',
      async () => claimFor(await sealed('x'.repeat(300_000)), 'w2'),
      'BLW_PAYLOAD_DENIED',
    ],
  ])('says of one that is %s that it cannot be read, beside others that can', async (_, payload, code) => {
    const { json } = await call('/decode', [await payload(), await sealed('readable')]);
    expect(valuesOf(json)).toEqual([{ 'beamline.lostPayload': { code, detail: expect.any(String) } }, 'readable']);
  });

  test('takes the namespace from the header that Temporal sends', async () => {
    const payload = await sealed('s', { namespace: 'elsewhere' });
    const headers = { 'content-type': 'application/json', 'x-namespace': 'elsewhere' };
    expect(valuesOf((await call('/decode', [payload], { headers })).json)).toEqual(['s']);
  });

  test('below the name of a tenant it decrypts only what is theirs', async () => {
    expect(valuesOf((await call('/acme/decode', [await sealed('s')])).json)).toEqual(['s']);
    const denied = await call('/acme/decode', [await sealed('s'), await sealed('s', { tenant: 'other' })]);
    expect([denied.status, denied.json]).toEqual([403, { message: 'these payloads are not for you' }]);
  });
});

function tampered(
  payload: Payload,
  change: (copy: { metadata: Record<string, Uint8Array>; data: Buffer }) => void,
): Payload {
  const copy = {
    metadata: { ...(payload.metadata as Record<string, Uint8Array>) },
    data: Buffer.from(payload.data as Uint8Array),
  };
  change(copy);
  return copy;
}

function claimFor({ metadata, data }: Payload, workflow: string): Payload {
  const claim = JSON.parse(Buffer.from(data as Uint8Array).toString()) as JsonObject;
  return { ...(metadata == null ? {} : { metadata }), data: Buffer.from(JSON.stringify({ ...claim, workflow })) };
}

describe('encode', () => {
  test('encrypts for the tenant in the address, for every workflow of theirs', async () => {
    const { json } = await call('/acme/encode', [plain({ a: 1 })]);
    const [payload] = (json.payloads as JsonObject[]).map((item) => payloadFromJson(item) as Payload);
    expect(Buffer.from(payload?.metadata?.encoding ?? []).toString()).toBe('binary/encrypted');
    const worker = new EncryptionCodec({ keys, namespace: 'default', role: 'client' });
    for (const workflowId of ['one', 'two']) {
      const [opened] = await worker.decode([payload as Payload], {
        type: 'workflow',
        namespace: 'default',
        workflowId,
      });
      expect(Buffer.from(opened?.data ?? []).toString()).toBe('{"a":1}');
    }
    // What is encrypted already stays that.
    expect((await call('/acme/encode', [payload as Payload])).json).toEqual(json);
  });

  test('needs a tenant, one that has a key', async () => {
    expect(await call('/encode', [plain(1)])).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('/TENANT') },
    });
    expect(await call('/encode', [])).toMatchObject({ status: 200, json: { payloads: [] } });
    expect(await call('/nobody/encode', [plain(1)])).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('BLW_PAYLOAD_KEY') },
    });
  });
});

describe('what is not asked in the right way is refused', () => {
  test.each<[string, string, RequestInit, number]>([
    ['another path', '/other', {}, 404],
    ['a path with more', '/a/b/decode', {}, 404],
    ['a name that no tenant has', '/a%2Fb/decode', {}, 404],
    ['GET', '/decode', { method: 'GET', body: null }, 405],
    ['another content type', '/decode', { headers: { 'content-type': 'text/plain' } }, 415],
    ['no JSON', '/decode', { body: '{"SECRET' }, 400],
    ['no payloads', '/decode', { body: '[]' }, 400],
    ['payloads that are no list', '/decode', { body: '{"payloads": {}}' }, 400],
    ['a payload that is none', '/decode', { body: '{"payloads": [1]}' }, 400],
    ['metadata that is no text', '/decode', { body: '{"payloads": [{"metadata": {"a": 1}}]}' }, 400],
    ['too much', '/decode', { body: `"${'x'.repeat(1_000_001)}"` }, 413],
    [
      'a page of another origin',
      '/decode',
      { headers: { origin: 'https://evil.example', 'content-type': 'application/json' } },
      403,
    ],
    ['a page without an origin', '/decode', { headers: { origin: 'null', 'content-type': 'application/json' } }, 403],
  ])('%s', async (_, path, init, status) => {
    const answer = await call(path, [], init);
    expect(answer.status).toBe(status);
    expect(answer.response.headers.get('content-type')).toBe('application/json');
    expect(answer.response.headers.get('access-control-allow-origin')).toBeNull();
    expect(answer.json).toEqual({ message: expect.any(String) });
    expect(JSON.stringify(answer.json)).not.toContain('SECRET');
  });

  test('a name that only leads here', async () => {
    const { port } = new URL(base);
    const status = await new Promise((resolve) => {
      const options = { port, path: '/decode', method: 'POST', headers: { host: 'evil.example' } };
      httpRequest(options, (response) => resolve(response.resume().statusCode)).end('{}');
    });
    expect(status).toBe(403);
  });

  test('a request that breaks off leaves the server as it was', async () => {
    const { port, hostname } = new URL(base);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /decode HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    );
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    expect((await call('/decode', [plain(1)])).status).toBe(200);
  });
});

describe('pages', () => {
  test('of the UI may call, and ask first', async () => {
    const headers = {
      origin: UI,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-namespace',
    };
    const { response } = await call('/decode', [], { method: 'OPTIONS', headers, body: null });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe(UI);
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization, content-type, x-namespace');
    expect(response.headers.get('vary')).toBe('Origin');
    const answer = await call('/decode', [await sealed(1)], {
      headers: { origin: UI, 'content-type': 'application/json' },
    });
    expect(answer.response.headers.get('access-control-allow-origin')).toBe(UI);
    expect(valuesOf(answer.json)).toEqual([1]);
  });

  test('of others get nothing, not even an answer to their question', async () => {
    const { response } = await call('/decode', [], {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example' },
      body: null,
    });
    expect(response.status).toBe(403);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('access', () => {
  const token = randomBytes(24).toString('base64url');
  let url: string;
  beforeAll(async () => {
    writeFileSync(join(folder, 'token'), `${token}\n`);
    url = await start({ access: tokenAccess(join(folder, 'token')), isLoopbackOnly: false });
  });
  const withToken = (authorization: string) => ({ headers: { 'content-type': 'application/json', authorization } });

  test('with a token', async () => {
    const payload = await sealed('s');
    expect(valuesOf((await call('/decode', [payload], withToken(`Bearer ${token}`), url)).json)).toEqual(['s']);
    for (const wrong of ['', 'Bearer', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`, token]) {
      const { status, json } = await call('/decode', [payload], withToken(wrong), url);
      expect([status, json]).toEqual([401, { message: expect.any(String) }]);
    }
    expect((await call('/decode', [payload], {}, url)).status).toBe(401);
  });

  test('by tenant: a caller of one reads nothing of another, nor what is nobody’s', async () => {
    const access: CodecAccess = { identify: async () => ({ mayUse: (tenant) => tenant === 'acme' }) };
    const limited = await start({ access });
    expect(valuesOf((await call('/decode', [await sealed('s')], {}, limited)).json)).toEqual(['s']);
    for (const payload of [
      await sealed('s', { tenant: 'other' }),
      await sealed('x'.repeat(300_000), { tenant: 'nobody' }),
    ]) {
      expect((await call('/decode', [payload], {}, limited)).status).toBe(403);
    }
    expect((await call('/other/encode', [plain(1)], {}, limited)).status).toBe(403);
    expect((await call('/acme/encode', [plain(1)], {}, limited)).status).toBe(200);
  });

  test('with tokens of the policy: each for its tenant, while the policy has it', async () => {
    const identity = await makeIdentity();
    try {
      const policy = policySource(identityPolicy({ file: identity.jwksFile }), [tenantPolicy('acme', [])]);
      const url2 = await start({ access: identityAccess(policy, () => undefined) });
      const as = async (claims: JsonObject) => withToken(`Bearer ${await identity.token(claims)}`);
      const payload = await sealed('s');
      expect(valuesOf((await call('/decode', [payload], await as({}), url2)).json)).toEqual(['s']);
      expect((await call('/decode', [await sealed('s', { tenant: 'other' })], await as({}), url2)).status).toBe(403);
      expect((await call('/other/encode', [plain(1)], await as({}), url2)).status).toBe(403);
      // Of a tenant that the policy does not have, of another issuer, expired, none.
      for (const claims of [{ tenant: 'other' }, { iss: 'https://evil.example' }, { exp: 1_000 }]) {
        expect((await call('/decode', [payload], await as(claims), url2)).status).toBe(401);
      }
      expect((await call('/decode', [payload], withToken('Bearer x.y.z'), url2)).status).toBe(401);
      expect((await call('/decode', [payload], {}, url2)).status).toBe(401);
    } finally {
      identity.close();
    }
  });

  test.each([
    ['a file that is not there', 'none', 'cannot be read'],
    ['a token that is short', 'short', 'expected one token of 16 characters'],
  ])('not with %s', (_, name, message) => {
    writeFileSync(join(folder, 'short'), 'abc');
    expect(() => tokenAccess(join(folder, name))).toThrow(message);
  });
});

describe('the log says why, and what to do', () => {
  /** Level, message and fields of the newest line. */
  const newest = () => {
    const [level, message, fields] = JSON.parse(logged.at(-1) ?? '[]') as [string, string, JsonObject];
    const { code, reason, help, status } = fields;
    return { level, message, status, code, reason, help };
  };
  const json = { 'content-type': 'application/json' };

  test.each<[string, string, RequestInit, object]>([
    ['another path', '/other', {}, { status: 404, code: 'BLW_CODEC_REQUEST', help: expect.stringMatching(/^POST to/) }],
    [
      'a page of another origin',
      '/decode',
      { headers: { origin: 'https://ui.example', ...json } },
      { status: 403, reason: 'a page of https://ui.example called', help: expect.stringContaining('--ui-origin') },
    ],
    [
      'nobody’s data',
      '/encode',
      { body: JSON.stringify({ payloads: [{ data: 'QQ==' }] }) },
      { status: 400, help: expect.stringContaining('--codec-endpoint http://…/TENANT') },
    ],
    [
      'a tenant without a key',
      '/nobody/encode',
      { body: JSON.stringify({ payloads: [{ data: 'QQ==' }] }) },
      { code: 'BLW_PAYLOAD_KEY', help: expect.stringContaining('--encryption-keys') },
    ],
  ])('of %s', async (_, path, init, expected) => {
    await call(path, [], init);
    expect(newest()).toMatchObject({ level: 'warn', message: 'codec request refused', ...expected });
  });

  test('of payloads of another tenant, and of those that cannot be read', async () => {
    await call('/acme/decode', [await sealed('s', { tenant: 'other' })]);
    expect(newest()).toMatchObject({
      level: 'warn',
      status: 403,
      code: 'BLW_TENANT_DENIED',
      reason: 'a payload is encrypted for another tenant than the address names',
      help: expect.stringContaining('an address that names that tenant'),
    });
    await call('/decode', [await sealed('s', { namespace: 'elsewhere' })]);
    expect(newest()).toMatchObject({ level: 'warn', status: 200, code: 'BLW_PAYLOAD_DENIED' });
    expect(newest().message).toBe('codec request');
  });

  test('of callers, who are not told themselves', async () => {
    const identity = await makeIdentity();
    try {
      const policy = policySource(identityPolicy({ file: identity.jwksFile }), [tenantPolicy('acme', [])]);
      const url = await start({ access: identityAccess(policy, () => undefined) });
      const as = async (claims: JsonObject) => ({
        headers: { ...json, authorization: `Bearer ${await identity.token(claims)}` },
      });
      const expired = await call('/decode', [], await as({ exp: 1_000 }), url);
      expect(newest()).toMatchObject({
        status: 401,
        code: 'BLW_TOKEN_INVALID',
        reason: expect.stringMatching(/expired/),
      });
      expect(JSON.stringify(expired.json)).not.toContain('expired');
      await call('/decode', [], await as({ tenant: 'other' }), url);
      expect(newest().reason).toBe("the policy does not have the token's tenant");
      await call('/decode', [], {}, url);
      expect(newest()).toMatchObject({ code: 'BLW_TOKEN_REQUIRED', help: expect.stringContaining('--codec-auth') });
    } finally {
      identity.close();
    }
  });
});

test('nothing of a payload is in the log', async () => {
  await call('/acme/decode', [await sealed('NEVER-LOGGED', { tenant: 'other' })]);
  await call('/decode/NEVER-LOGGED', [plain('NEVER-LOGGED')]);
  await call('/decode', [plain('NEVER-LOGGED')]);
  expect(logged.length).toBeGreaterThan(10);
  expect(logged.at(-1)).toContain('"route":"decode","status":200');
  const text = logged.join('\n');
  expect(text).not.toContain('NEVER-LOGGED');
  expect(text).not.toContain(Buffer.from('"NEVER-LOGGED"').toString('base64'));
});

test('of a failure that nobody expects the log has the place in the code, and nothing of its message', async () => {
  class BrokenCodec extends RemoteCodec {
    override decode(): Promise<Payload[]> {
      return Promise.reject(new TypeError('a value\nof a payload'));
    }
  }
  const url = await start({ codec: new BrokenCodec({ keys, store, maxBytes: 1_000_000 }) });
  const { status, json } = await call('/decode', [plain(1)], {}, url);
  expect({ status, json }).toEqual({ status: 500, json: { message: 'the codec server failed; its log has more' } });
  const [level, , fields] = JSON.parse(logged.at(-1) ?? '[]') as [string, string, JsonObject];
  expect({ level, ...fields }).toMatchObject({
    level: 'error',
    reason: 'TypeError',
    stack: expect.stringMatching(/^ {4}at .*codec-server\.test/),
  });
  expect(logged.at(-1)).not.toContain('a value');
});

test('a port that is taken is told', async () => {
  await expect(start({ port: Number(new URL(base).port) })).rejects.toThrow(
    /--port \d+: cannot be listened on \(EADDRINUSE\)/,
  );
});
