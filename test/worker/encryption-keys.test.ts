import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowError } from '../../src/dsl/errors';
import { keyRingOf, readKeyRing } from '../../src/worker/encryption-keys';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEY = randomBytes(32);
const TEXT = KEY.toString('base64');
const file = join(folder, 'keys.yaml');

function read(text: string, env: NodeJS.ProcessEnv = {}) {
  writeFileSync(file, text);
  return readKeyRing(file, env);
}

it('takes keys from the file, the environment and files beside it, in YAML and JSON', () => {
  writeFileSync(join(folder, 'old.key'), `${randomBytes(32).toString('base64url')}\n`);
  const ring = read(
    JSON.stringify({
      acme: [
        { id: '2026-11', key: 'env:ACME_KEY' },
        { id: '2026-05', key: 'file:./old.key' },
      ],
      other: [{ id: 'k', key: TEXT }],
    }),
    { ACME_KEY: TEXT },
  );
  expect(ring.encrypting('acme')).toEqual({ id: '2026-11', secret: KEY });
  expect(ring.decrypting('acme', '2026-05')?.secret).toHaveLength(32);
  expect(ring.decrypting('acme', '2025-11')).toBeUndefined();
  expect(ring.encrypting('other')).toEqual({ id: 'k', secret: KEY });
  expect(ring.encrypting('third')).toBeUndefined();
  expect(ring.isEmpty).toBe(false);
});

it('warns of files with keys that everybody may read, and of no others', () => {
  const key = join(folder, 'own.key');
  writeFileSync(key, TEXT);
  const warned = (text: string): string[] => {
    const files: string[] = [];
    writeFileSync(file, text);
    readKeyRing(file, { KEY: TEXT }, (message, fields) => {
      expect(message).toContain('every user of this machine may read a file with keys of --encryption-keys');
      files.push(fields.file);
    });
    return files;
  };
  chmodSync(file, 0o644);
  chmodSync(key, 0o644);
  const [inline, inFile] = [`{ id: a, key: "${TEXT}" }`, '{ id: b, key: file:./own.key }'];
  expect(warned(`acme: [${inline}, ${inFile}]`)).toEqual([file, key]);
  // There is nothing secret in it.
  expect(warned('acme: [{ id: c, key: env:KEY }]')).toEqual([]);
  chmodSync(key, 0o640);
  expect(warned(`acme: [${inFile}]`)).toEqual([]);
  chmodSync(file, 0o600);
  expect(warned(`acme: [${inline}]`)).toEqual([]);
});

it('derives a key for each tenant without one from that of "*"', () => {
  const ring = read(`"*": [{ id: m2, key: "${randomBytes(32).toString('base64')}" }, { id: m1, key: "${TEXT}" }]
acme: [{ id: own, key: "${TEXT}" }]`);
  expect(ring.encrypting('acme')?.id).toBe('own');
  const [one, two] = [ring.encrypting('one'), ring.encrypting('two')];
  expect([one?.id, two?.id]).toEqual(['*/m2', '*/m2']);
  expect(one?.secret).not.toEqual(two?.secret);
  expect(one?.secret).toHaveLength(32);
  expect(ring.decrypting('one', '*/m2')).toEqual(one);
  expect(ring.decrypting('one', '*/m1')?.secret).not.toEqual(KEY);
  // Of the time before the tenant had a key of its own.
  expect(ring.decrypting('acme', '*/m1')?.secret).toHaveLength(32);
  expect(ring.decrypting('one', 'own')).toBeUndefined();
  expect(ring.decrypting('one', 'm1')).toBeUndefined();
});

it('derives the same key always: HKDF with SHA-256, by RFC 5869', () => {
  const ring = read(`"*": [{ id: m, key: "${Buffer.alloc(32, 1).toString('base64')}" }]`);
  expect(Buffer.from(ring.encrypting('acme')?.secret ?? []).toString('hex')).toBe(
    'cd153692d9b5a3e443c138a6384813fbe786d28ddfcaf63a8eeb12c42b5d6108',
  );
});

it('has no keys without a file', () => {
  expect(keyRingOf(undefined, {}).isEmpty).toBe(true);
});

it.each<[string, string, string]>([
  ['no mapping', '- a', '1:1 got an array, expected keys by tenant'],
  ['no tenant', '{}', '1:1 got no tenant'],
  ['a bad tenant', 'a/b: []', '1:1 "a/b": got "a/b", expected the name of a tenant, or "*"'],
  ['no list', 'acme: {id: a}', '1:7 "acme": expected a list'],
  ['an empty list', 'acme: []', '1:7 "acme": expected a list'],
  ['no object', 'acme: [a]', '1:8 "acme": got a string, expected { id, key }'],
  ['another field', `acme:\n  - idd: a\n    key: ${TEXT}`, '2:5 "acme": "idd" is not known; did you mean "id"?'],
  ['no id', `acme:\n  - key: ${TEXT}`, '2:5 "acme": expected 1 to 64 letters'],
  ['an id with a sign', `acme:\n  - { key: ${TEXT}, id: "*/a" }`, '"acme": expected 1 to 64 letters'],
  ['an id twice', `acme: [{ id: a, key: "${TEXT}" }, { id: a, key: "${TEXT}" }]`, 'got the id "a" twice'],
  ['no key', 'acme:\n  - id: a', '2:5 "acme": expected env:VARIABLE, file:PATH, or 32 bytes in base64'],
  ['a short key', `acme:\n  - id: a\n    key: "${TEXT.slice(0, 20)}"`, '3:10 "acme": got 15 bytes, expected'],
  [
    'a key that is no base64',
    'acme:\n  - id: a\n    key: "with blanks and more"',
    '3:10 "acme": got something that is no base64',
  ],
  ['a variable that is not set', 'acme: [{ id: a, key: "env:NOT_SET" }]', 'the variable NOT_SET is not set'],
  ['a file that is not there', 'acme: [{ id: a, key: "file:nowhere" }]', 'the file nowhere cannot be read (ENOENT)'],
  ['broken YAML', `acme: [{ id: a, key: "${TEXT}`, 'not well-formed YAML or JSON'],
])('refuses %s, with its place and without the key', (_, text, message) => {
  let error: unknown;
  try {
    read(text);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FlowError);
  expect((error as FlowError).data.code).toBe('BLW_CONFIG');
  expect((error as FlowError).message).toContain(`${file}:`);
  expect((error as FlowError).message).toContain(message);
  expect((error as FlowError).message).not.toContain(TEXT.slice(0, 10));
});

it('says which file cannot be read', () => {
  expect(() => readKeyRing(join(folder, 'none'), {})).toThrow(/--encryption-keys .*none: cannot be read \(ENOENT\)/);
});
