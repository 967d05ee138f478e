import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowError } from '../../src/dsl/errors';
import { parseWorkerConfig } from '../../src/worker/config';
import { readConfigFile } from '../../src/worker/config-file';
import { mergeOptions, type OptionValues } from '../../src/worker/options';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (flags: OptionValues = {}, env: NodeJS.ProcessEnv = {}, file: OptionValues = {}) =>
  parseWorkerConfig(mergeOptions({ flags, env, file }), folder);

function configErrorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof FlowError && error.data.code === 'BLW_CONFIG') return error.message;
    throw error;
  }
  throw new Error('expected a BLW_CONFIG error');
}

function fileOf(text: string): string {
  const file = join(folder, 'beamline.yaml');
  writeFileSync(file, text);
  return file;
}

test('has the defaults of the design', () => {
  expect(configOf()).toMatchObject({
    pools: ['io', 'cpu', 'gpu'],
    poolSizes: { io: 16, cpu: 8, gpu: 2 },
    queuePrefix: 'beamline',
    maxMemoryMb: 2048,
    scripts: { memoryMb: 128, isolation: 'auto' },
    blobRoot: join(folder, '.beamline/blobs'),
    databases: [],
    allowHosts: [],
    shutdownGraceMs: 30_000,
  });
});

test('takes the command line over the environment over the file over the default', () => {
  const env = { BEAMLINE_IO_POOL_SIZE: '3', BEAMLINE_CPU_POOL_SIZE: '4' };
  const file = { 'io-pool-size': '5', 'cpu-pool-size': '6', 'gpu-pool-size': '7' };
  expect(configOf({ 'io-pool-size': '2' }, env, file).poolSizes).toEqual({ io: 2, cpu: 4, gpu: 7, sandbox: 8 });
});

test('reads lists from the environment, URLs with commas in them whole', () => {
  const env = {
    BEAMLINE_ALLOW_HOST: 'localhost,127.0.0.1:8080',
    BEAMLINE_DATABASE: 'shop=sqlite:./shop.db,crm=postgres://u:a,b@127.0.0.1/crm',
  };
  const config = configOf({}, env);
  expect(config.allowHosts).toEqual(['localhost', '127.0.0.1:8080']);
  expect(config.databases).toEqual([
    { name: 'shop', kind: 'sqlite', file: join(folder, 'shop.db') },
    { name: 'crm', kind: 'postgres', url: 'postgres://u:a,b@127.0.0.1/crm' },
  ]);
});

test('reads secrets from the environment, paths with commas in them whole', () => {
  const { secrets } = configOf({}, { BEAMLINE_SECRET: 'api.key=env:API_KEY,acme/shop=file:a,b.json,c=env:C' });
  expect(secrets).toEqual([
    { name: 'api.key', source: { env: 'API_KEY' } },
    { name: 'shop', tenant: 'acme', source: { file: join(folder, 'a,b.json') } },
    { name: 'c', source: { env: 'C' } },
  ]);
});

test('knows nobody by default, and takes a key for tokens', () => {
  expect(configOf().auth).toEqual({ mode: 'none', trustsNetwork: false });
  expect(configOf({ 'trust-network': 'yes' }).auth).toEqual({ mode: 'none', trustsNetwork: true });
  const flags = { auth: 'jwt', 'auth-key': 'keys/auth-key.json' };
  expect(configOf(flags).auth).toEqual({ mode: 'jwt', keyFile: join(folder, 'keys/auth-key.json') });
});

test('takes the policy file from the folder of the command, and is without one by default', () => {
  expect(configOf({ policy: 'policy.yaml' }).policyFile).toBe(join(folder, 'policy.yaml'));
  expect(configOf({}, { BEAMLINE_POLICY: '/etc/beamline/policy.yaml' }).policyFile).toBe('/etc/beamline/policy.yaml');
  expect(configOf()).not.toHaveProperty('policyFile');
});

test('reads a config file', () => {
  const file = fileOf('pools: [io, gpu]\nio-pool-size: 4\ndatabase:\n  - shop=sqlite:shop.db\n');
  expect(configOf({}, {}, readConfigFile(file))).toMatchObject({
    pools: ['io', 'gpu'],
    poolSizes: { io: 4 },
    databases: [{ name: 'shop' }],
  });
});

test.each<[string, OptionValues, string]>([
  ['no number', { 'io-pool-size': 'many' }, '--io-pool-size: got "many", expected a whole number from 1 to 1000'],
  ['no slots', { 'io-pool-size': '0' }, '--io-pool-size: got "0"'],
  ['an empty number', { 'max-memory-mb': '' }, '--max-memory-mb: got ""'],
  [
    'too little memory for a script',
    { 'script-memory-mb': '8' },
    '--script-memory-mb: got "8", expected a whole number from 16',
  ],
  ['an unknown isolation', { 'script-isolation': 'on' }, '--script-isolation: got "on", expected auto, required, off'],
  ['an unknown pool', { pools: 'io,tpu' }, '--pools: got "io,tpu", expected one or more of io,cpu,gpu'],
  ['a pool twice', { pools: 'io,io' }, '--pools: got "io,io"'],
  ['an odd prefix', { 'queue-prefix': 'a b' }, '--queue-prefix: got "a b"'],
  ['an unknown level', { 'log-level': 'loud' }, '--log-level: got "loud", expected trace, debug'],
  ['another authentication', { auth: 'ldap' }, '--auth: got "ldap", expected none, jwt'],
  ['tokens without a key', { auth: 'jwt' }, '--auth jwt: needs --auth-key FILE'],
  ['a key without tokens', { 'auth-key': 'key.json' }, '--auth-key: counts with --auth jwt only'],
  ['a network that is trusted perhaps', { 'trust-network': 'maybe' }, '--trust-network: got "maybe", expected yes, no'],
  [
    'metrics without a port',
    { 'prometheus-endpoint': 'localhost' },
    '--prometheus-endpoint: got "localhost", expected',
  ],
  [
    'metrics at no port',
    { 'prometheus-endpoint': ':65536' },
    '--prometheus-endpoint: got ":65536", expected HOST:PORT',
  ],
  ['a policy without a file', { policy: '' }, '--policy: got "", expected the name of a file'],
  ['a database without a URL', { database: ['shop'] }, '--database'],
  ['a secret without a place', { secret: ['shop=hunter22'] }, '--secret shop: expected NAME=env:VARIABLE'],
])('refuses %s', (_, flags, message) => {
  expect(configErrorOf(() => configOf(flags))).toContain(message);
});

test.each([
  ['an unknown key', 'io-pol-size: 4\n', ':1:1 "io-pol-size" is not a setting; did you mean "io-pool-size"?'],
  ['an object', 'io-pool-size:\n  a: 1\n', ':1:1 io-pool-size: got an object'],
  ['text', 'just text\n', ':1:1 got a string'],
  ['broken YAML', 'a: [1\n', ':'],
])('refuses a config file with %s, with its place', (_, text, message) => {
  const file = fileOf(text);
  expect(configErrorOf(() => readConfigFile(file))).toContain(`${file}${message}`);
});

test('says which config file cannot be read', () => {
  expect(configErrorOf(() => readConfigFile(join(folder, 'none.yaml')))).toContain('cannot be read (ENOENT)');
});

it.each([
  ['0.0.0.0:9090', '0.0.0.0', 9090],
  ['metrics.internal:80', 'metrics.internal', 80],
  ['[::1]:9090', '::1', 9090],
  [':9090', '127.0.0.1', 9090],
  ['9090', '127.0.0.1', 9090],
  ['0', '127.0.0.1', 0],
])('serves metrics at %s', (endpoint, host, port) => {
  expect(configOf({ 'prometheus-endpoint': endpoint }).metrics).toEqual({ host, port });
});
