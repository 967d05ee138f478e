import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowError } from '../../../src/dsl/errors';
import { IssuerKeys } from '../../../src/worker/identity/issuer-keys';
import { TokenVerifier } from '../../../src/worker/identity/token-verifier';
import { type IssuerKey, identityPolicy, makeIssuerKey, signToken } from '../../helpers/identity';
import { type LoopbackServer, LoopbackServers } from '../../helpers/loopback';

const servers = new LoopbackServers();
let folder: string;
let keys: readonly [IssuerKey, IssuerKey];
beforeAll(async () => {
  keys = [await makeIssuerKey('one'), await makeIssuerKey('two')];
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-jwks-'));
});
afterEach(async () => {
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const jwksOf = (...published: IssuerKey[]) => JSON.stringify({ keys: published.map(({ publicJwk }) => publicJwk) });

/** A clock that stands still until it is set forward. */
function makeClock() {
  let now = 1_000_000;
  return { now: () => now, forward: (ms: number) => (now += ms) };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An issuer whose answer can be changed, and what knows its keys. */
async function makeIssuer(first: Handler) {
  const state = { handler: first };
  const server: LoopbackServer = await servers.http((request, response) => state.handler(request, response));
  const clock = makeClock();
  const warnings: string[] = [];
  const source = new IssuerKeys({ url: `${server.origin}/jwks` }, (warning) => warnings.push(warning), clock.now);
  return {
    state,
    server,
    clock,
    warnings,
    find: async (kid: string) => await source.find({ alg: 'ES256', kid }, NO_TOKEN),
  };
}

const NO_TOKEN = { payload: '', signature: '' };
const answer =
  (text: string): Handler =>
  (_, response) =>
    response.end(text);

const codeOf = (error: unknown) => (error as FlowError).data?.code ?? (error as { code?: string }).code;
const codeAt = (promise: Promise<unknown>) => promise.then(() => 'found', codeOf);

describe('keys at an address', () => {
  test('are fetched once, by however many ask', async () => {
    const issuer = await makeIssuer(answer(jwksOf(...keys)));
    await Promise.all(Array.from({ length: 20 }, (_, index) => issuer.find(index % 2 === 0 ? 'one' : 'two')));
    expect(issuer.server.requests).toHaveLength(1);
  });

  test('are fetched again when a token names one that is not known, but not with each such token', async () => {
    const issuer = await makeIssuer(answer(jwksOf(keys[0])));
    await issuer.find('one');
    issuer.state.handler = answer(jwksOf(...keys));
    expect(await codeAt(issuer.find('two'))).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(issuer.server.requests).toHaveLength(1);
    issuer.clock.forward(30_001);
    expect(await codeAt(issuer.find('two'))).toBe('found');
    for (let count = 0; count < 10; count += 1) await codeAt(issuer.find(randomUUID()));
    expect(issuer.server.requests).toHaveLength(2);
  });

  test('are not accepted any more once the issuer has taken them away', async () => {
    const issuer = await makeIssuer(answer(jwksOf(...keys)));
    await issuer.find('one');
    issuer.state.handler = answer(jwksOf(keys[1]));
    issuer.clock.forward(600_001);
    // In the background: nobody waits for an issuer whose keys are there.
    await issuer.find('one');
    issuer.clock.forward(30_001);
    await codeAt(issuer.find(randomUUID()));
    expect(await codeAt(issuer.find('one'))).toBe('ERR_JWKS_NO_MATCHING_KEY');
  });

  test('go on while the issuer is away, for a day', async () => {
    const issuer = await makeIssuer(answer(jwksOf(keys[0])));
    await issuer.find('one');
    issuer.state.handler = (request) => request.socket.destroy();
    issuer.clock.forward(600_001);
    await codeAt(issuer.find(randomUUID()));
    expect(await codeAt(issuer.find('one'))).toBe('found');
    expect(issuer.warnings).toEqual([expect.stringContaining('/jwks')]);
    issuer.clock.forward(86_400_000);
    await codeAt(issuer.find(randomUUID()));
    expect(await codeAt(issuer.find('one'))).toBe('BLW_IDENTITY_UNAVAILABLE');
    expect(issuer.warnings).toHaveLength(1);
  });

  test.each<[string, Handler]>([
    ['refuses', (request) => request.socket.destroy()],
    ['fails', (_, response) => response.writeHead(500).end(jwksOf(keys[0]))],
    ['sends elsewhere', (_, response) => response.writeHead(302, { location: '/other' }).end()],
    ['answers something else', answer('<html>')],
    ['answers no keys', answer('{"a": 1}')],
    ['answers too many keys', answer(JSON.stringify({ keys: Array.from({ length: 201 }, () => ({ kty: 'EC' })) }))],
    ['answers a secret key', answer('{"keys": [{"kty": "oct", "kid": "one", "alg": "HS256", "k": "AAAA"}]}')],
    ['answers without end', (_, response) => void endless(response)],
  ])('are not there where the issuer %s', async (_, handler) => {
    const issuer = await makeIssuer(handler);
    expect(['BLW_IDENTITY_UNAVAILABLE', 'ERR_JWKS_NO_MATCHING_KEY']).toContain(await codeAt(issuer.find('one')));
    issuer.state.handler = answer(jwksOf(keys[0]));
    issuer.clock.forward(30_001);
    expect(await codeAt(issuer.find('one'))).toBe('found');
  });

  test('are given up on where the issuer is slow', async () => {
    const issuer = await makeIssuer((_, response) => void response.write('{'));
    expect(await codeAt(issuer.find('one'))).toBe('BLW_IDENTITY_UNAVAILABLE');
    expect(issuer.warnings).toEqual([expect.stringMatching(/timeout/i)]);
  });
});

/** Writes as fast as it is read, until the other side has had enough. */
function endless(response: ServerResponse): void {
  const chunk = ' '.repeat(65_536);
  const write = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', write).on('error', () => undefined);
  write();
}

describe('keys in a file', () => {
  test('are read again when it changes, and a broken file changes nothing', async () => {
    const file = join(folder, 'jwks.json');
    const warnings: string[] = [];
    writeFileSync(file, jwksOf(keys[0]));
    const source = new IssuerKeys({ file }, (warning) => warnings.push(warning));
    const find = (kid: string) => codeAt(source.find({ alg: 'ES256', kid }, NO_TOKEN) as Promise<unknown>);
    expect([await find('one'), await find('two')]).toEqual(['found', 'ERR_JWKS_NO_MATCHING_KEY']);
    writeFileSync(file, jwksOf(...keys));
    expect([await find('one'), await find('two')]).toEqual(['found', 'found']);
    writeFileSync(file, '{"keys": [');
    expect(await find('two')).toBe('found');
    rmSync(file);
    expect(await find('two')).toBe('found');
    expect(warnings).toHaveLength(1);
    writeFileSync(file, jwksOf(keys[1]));
    expect([await find('one'), await find('two')]).toEqual(['ERR_JWKS_NO_MATCHING_KEY', 'found']);
  });
});

test('a policy that names another issuer takes effect at once', async () => {
  const files = keys.map((key, index) => {
    const file = join(folder, `${index}.json`);
    writeFileSync(file, jwksOf(key));
    return file;
  }) as [string, string];
  let policy = identityPolicy({ file: files[0] });
  const verifier = new TokenVerifier(
    () => policy,
    () => undefined,
  );
  const [first, second] = [await signToken(keys[0]), await signToken(keys[1])];
  expect(await verifier.verify(first, new Date())).toMatchObject({ sub: 'alice', tenant: 'acme', groups: [] });
  policy = identityPolicy({ file: files[1] });
  expect(await codeAt(verifier.verify(first, new Date()))).toBe('BLW_TOKEN_INVALID');
  expect(await codeAt(verifier.verify(second, new Date()))).toBe('found');
});

test.each<[string, Record<string, unknown>, object]>([
  ['scopes in a text', { scope: 'flow:start  block:*' }, { scopes: ['flow:start', 'block:*'] }],
  ['scopes in a list, other ones among them', { scope: ['openid', 'block:*', 'x'] }, { scopes: ['block:*'] }],
  ['groups in a list', { groups: ['a b', 'c'] }, { groups: ['a b', 'c'] }],
  ['groups in a text', { groups: 'a b' }, { groups: ['a', 'b'] }],
  ['several audiences', { aud: ['other', 'beamline'] }, { sub: 'alice' }],
])('takes %s', async (_, claims, expected) => {
  const file = join(folder, 'jwks.json');
  writeFileSync(file, jwksOf(keys[0]));
  const policy = identityPolicy({ file });
  const verifier = new TokenVerifier(
    () => policy,
    () => undefined,
  );
  expect(await verifier.verify(await signToken(keys[0], claims), new Date())).toMatchObject(expected);
});
