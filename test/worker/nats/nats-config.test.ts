import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowError } from '../../../src/dsl/errors';
import { parseNats, readCredentials } from '../../../src/worker/nats/nats-config';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return name;
}

const read = (flags: { url?: string; credentials?: string; ca?: string }) =>
  parseNats({ url: '', credentials: '', ca: '', ...flags }, folder);

function errorOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof FlowError && error.data.code === 'BLW_CONFIG') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

test.each([
  ['nats://127.0.0.1', ['127.0.0.1:4222'], false],
  ['nats://broker.internal:4333/', ['broker.internal:4333'], false],
  ['tls://a.example, tls://b.example:5222', ['a.example:4222', 'b.example:5222'], true],
  ['nats://[::1]:4222', ['[::1]:4222'], false],
])('reads %s', (url, servers, isTls) => {
  expect(read({ url })).toEqual({ nats: { servers, isTls } });
});

test('is off where nothing is given', () => {
  expect(read({})).toEqual({});
});

test('takes files from the folder of the command', () => {
  const credentials = fileOf('nats.txt', 'worker:pass:word\n');
  const ca = fileOf('ca.pem', 'some certificate');
  expect(read({ url: 'tls://a', credentials, ca }).nats).toMatchObject({
    credentials: join(folder, credentials),
    ca: join(folder, ca),
  });
  expect(readCredentials(join(folder, credentials))).toEqual({ user: 'worker', password: 'pass:word' });
});

test.each<[string, Parameters<typeof read>[0], string]>([
  ['another scheme', { url: 'http://a' }, '--nats-url: got "http://a", expected nats://HOST[:PORT]'],
  ['no host', { url: 'nats://' }, '--nats-url: got "nats://"'],
  ['a port that is none', { url: 'nats://a:70000' }, '--nats-url: got "nats://a:70000"'],
  ['a path', { url: 'nats://a/b' }, '--nats-url: got "nats://a/b"'],
  ['both schemes', { url: 'nats://a,tls://b' }, '--nats-url: got nats:// and tls://, expected one'],
  ['credentials alone', { credentials: 'x' }, '--nats-credentials: counts with --nats-url only'],
  ['an authority alone', { ca: 'x' }, '--nats-ca: counts with --nats-url only'],
  ['an authority without TLS', { url: 'nats://a', ca: 'x' }, '--nats-ca: counts with a --nats-url of tls:// only'],
  ['credentials that are not there', { url: 'nats://a', credentials: 'none' }, 'cannot be read (ENOENT)'],
  ['an authority that is not there', { url: 'tls://a', ca: 'none.pem' }, 'cannot be read (ENOENT)'],
])('refuses %s', (_, flags, message) => {
  expect(errorOf(() => read(flags))).toContain(message);
});

test('never says a password', () => {
  const inUrl = errorOf(() => read({ url: 'nats://worker:hunter22@a' }));
  expect(inUrl).toContain('expected --nats-credentials FILE');
  const inFile = errorOf(() => read({ url: 'nats://a', credentials: fileOf('bad.txt', 'hunter22') }));
  expect(inFile).toContain('expected a .creds file, or one line USER:PASSWORD');
  for (const text of [inUrl, inFile]) expect(text).not.toContain('hunter22');
});
