import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join, normalize } from 'node:path';
import { Client } from 'pg';
import { parse } from 'yaml';
import { parseWorkerConfig, type WorkerConfig } from '../../src/worker/config';
import { readConfigFile } from '../../src/worker/config-file';
import { environmentName, mergeOptions, type OptionValues, WORKER_OPTIONS } from '../../src/worker/options';
import { DYNAMIC_CONFIG } from '../../temporal-dev/dynamic-config';
import { findPostgresBinaries, startPostgres } from '../helpers/postgres';
import { projectRoot } from '../helpers/project-root';

const ROOT = projectRoot();
const FOLDER = join(ROOT, 'temporal-dev', 'compose');

interface Service {
  readonly image?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly command?: readonly string[];
  readonly depends_on?: unknown;
  readonly mem_limit?: string;
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');
const compose = parse(read('compose.yaml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const workers = services.filter(([name]) => name.startsWith('worker-'));

/** Puts variables in as compose does, from a `.env` with passwords and nothing else. */
function interpolate(text: string): string {
  return text.replace(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g, (_, name: string, fallback?: string) =>
    name.endsWith('PASSWORD') ? 'secret' : (fallback ?? ''),
  );
}

/** The settings of a worker as it will read them: flags, environment and config file. */
function configOf({ command = [], environment = {} }: Service): WorkerConfig {
  const [name, ...args] = command;
  expect(name).toBe('worker');
  const flags: Record<string, string> = {};
  for (let index = 0; index < args.length; index += 2)
    flags[args[index]?.replace(/^--/, '') ?? ''] = args[index + 1] ?? '';
  const { config, ...others } = flags;
  expect(config).toBe('/etc/beamline/worker.yaml');
  const names: readonly string[] = WORKER_OPTIONS.map((option) => option.name);
  expect(Object.keys(others).filter((flag) => !names.includes(flag))).toEqual([]);
  const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, interpolate(String(value))]));
  const ours = Object.keys(env).filter((key) => key.startsWith('BEAMLINE_'));
  expect(ours.filter((key) => !names.map(environmentName).includes(key))).toEqual([]);
  const file = readConfigFile(join(FOLDER, 'worker.yaml'));
  return parseWorkerConfig(mergeOptions({ flags: others as OptionValues, env, file }), '/var/lib/beamline');
}

test('nothing is published but on the loopback', () => {
  const ports = services.flatMap(([, { ports: published = [] }]) => published);
  expect(ports.length).toBeGreaterThan(4);
  expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
  expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(ports.length);
});

test('images have exact tags', () => {
  const images = services.map(([, { image = '' }]) => image);
  expect(images.filter((image) => !/:v?\d+\.\d+(\.\d+)?$/.test(image) && image !== 'beamline-worker:local')).toEqual(
    [],
  );
  const bases = [...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, base = '']) => base);
  expect(bases).toHaveLength(2);
  expect(bases.filter((base) => !/^node:\d+\.\d+\.\d+-/.test(base))).toEqual([]);
});

test('everything that is mounted is there, and every volume is declared', () => {
  const sources = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
  const isFile = (source: string): boolean => source.startsWith('.');
  expect(sources.filter(isFile).length).toBeGreaterThan(6);
  expect(sources.filter((source) => isFile(source) && !existsSync(join(FOLDER, source)))).toEqual([]);
  expect(new Set(sources.filter((source) => !isFile(source)))).toEqual(new Set(Object.keys(compose.volumes)));
});

test('who waits for another waits for a service that is there', () => {
  const awaited = services.flatMap(([, { depends_on: names = [] }]) =>
    Array.isArray(names) ? (names as string[]) : Object.keys(names as object),
  );
  expect(awaited.length).toBeGreaterThan(3);
  expect(awaited.filter((name) => compose.services[name] === undefined)).toEqual([]);
});

test('every password is asked for and has no default', () => {
  const variables = [...read('compose.yaml').matchAll(/\$\{(\w*PASSWORD)([^}]*)\}/g)];
  expect(variables.length).toBeGreaterThan(3);
  expect(variables.filter(([, , rest = '']) => !rest.startsWith(':?')).map(([all]) => all)).toEqual([]);
  const asked = new Set([...read('compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
  const offered = new Set([...read('.env.example').matchAll(/^#?(\w+)=/gm)].map(([, name]) => name));
  expect(asked).toEqual(offered);
});

test('the workers start with these settings, and serve every pool', () => {
  const configs = workers.map(([, service]) => configOf(service));
  expect(configs.flatMap(({ pools }) => pools).sort()).toEqual(['cpu', 'gpu', 'io']);
  for (const config of configs) {
    expect(config).toMatchObject({
      auth: { mode: 'none', trustsNetwork: true },
      blobRoot: '/var/lib/beamline/blobs',
      stateStore: { kind: 'postgres', url: 'postgres://beamline:secret@postgres:5432/beamline' },
      metrics: { host: '0.0.0.0', port: 9464 },
    });
    expect(config.nats).toBeUndefined();
  }
});

test('a worker gets longer to stop than it gives its steps', () => {
  for (const [, service] of workers) {
    expect(Number.parseInt(service.stop_grace_period ?? '0', 10) * 1_000).toBeGreaterThan(
      configOf(service).shutdownGraceMs,
    );
  }
});

test('NATS is used where the environment says so', () => {
  const [, service = {}] = workers[0] ?? [];
  const url = /^#BEAMLINE_NATS_URL=(.*)$/m.exec(read('.env.example'))?.[1] ?? '';
  const environment = { ...service.environment, BEAMLINE_NATS_URL: url };
  expect(configOf({ ...service, environment }).nats).toMatchObject({ servers: ['nats:4222'] });
});

test('Prometheus asks the workers where they serve, and knows what they may hold', () => {
  interface Scrape {
    readonly job_name: string;
    readonly dns_sd_configs?: readonly { readonly names: readonly string[]; readonly port: number }[];
    readonly static_configs?: readonly { readonly targets: readonly string[] }[];
  }
  const folder = join(ROOT, 'temporal-dev', 'prometheus');
  const config = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8')) as { scrape_configs: readonly Scrape[] };
  const jobs = new Map(config.scrape_configs.map((scrape) => [scrape.job_name, scrape]));
  expect(jobs.get('beamline-worker')?.dns_sd_configs).toMatchObject([
    { names: workers.map(([name]) => name), port: 9464 },
  ]);
  const port = String(compose.services.temporal?.environment?.PROMETHEUS_ENDPOINT).split(':')[1];
  expect(jobs.get('temporal')?.static_configs).toEqual([{ targets: [`temporal:${port}`] }]);
  expect(workers.map(([, { mem_limit }]) => mem_limit)).toEqual(['4g', '4g']);
  const limit = /beamline:worker_memory_limit_bytes\n\s+expr: (.*)/.exec(
    readFileSync(join(folder, 'recording-rules.yml'), 'utf8'),
  );
  expect(limit?.[1]).toBe('vector(4 * 1024 ^ 3)');
});

test('Grafana finds the dashboard that it opens with', () => {
  const { environment = {}, volumes = [] } = compose.services.grafana ?? {};
  const home = String(environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH);
  const mounts = volumes.map((volume) => volume.split(':')).filter(([source]) => source?.startsWith('.'));
  const [source = '', target = ''] = mounts.find(([, path = '-']) => home.startsWith(`${path}/`)) ?? [];
  expect(existsSync(normalize(join(FOLDER, source, home.slice(target.length))))).toBe(true);
});

test("Temporal's configuration is that of the embedded server, without its limits of requests", () => {
  const values = parse(read('dynamic-config.yaml')) as Readonly<Record<string, readonly [{ readonly value: unknown }]>>;
  const given = Object.fromEntries(Object.entries(values).map(([key, [{ value }]]) => [key, value]));
  const withoutLimits = Object.entries(DYNAMIC_CONFIG).filter(
    ([key]) => !/(rps|namespaceRPS|persistenceMaxQPS)$/.test(key),
  );
  expect(given).toEqual(Object.fromEntries(withoutLimits));
  expect(compose.services.temporal?.volumes).toEqual([
    `./dynamic-config.yaml:/etc/temporal/${compose.services.temporal?.environment?.DYNAMIC_CONFIG_FILE_PATH}:ro`,
  ]);
});

test('the image is made of what is there, and asked for its health where it is served', () => {
  const dockerfile = read('Dockerfile');
  const copied = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
  expect(copied.length).toBeGreaterThan(8);
  expect(copied.filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
  const letIn = read('Dockerfile.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  expect(copied.filter((source) => !letIn.includes(source))).toEqual([]);
  expect(dockerfile).toContain('http://127.0.0.1:9464/livez');
  expect(dockerfile).toMatch(/^USER node$/m);
});

test('the scripts that the image is built with import nothing that is left out', () => {
  const copied = [...read('Dockerfile').matchAll(/scripts\/[\w-]+\.mjs/g)].map(([file]) => file);
  const imported = copied.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/from '\.\/([\w-]+\.mjs)'/g)].map(
      ([, name]) => `scripts/${name}`,
    ),
  );
  expect(imported.filter((file) => !copied.includes(file))).toEqual([]);
  expect(readdirSync(FOLDER)).not.toContain('.env');
});

const binaries = findPostgresBinaries();
const path = [binaries ?? '', process.env.PATH ?? ''].join(delimiter);
const canRun = binaries !== undefined && path.split(delimiter).some((folder) => existsSync(join(folder, 'psql')));
(canRun ? test : test.skip)('PostgreSQL gets a database for the state store (no PostgreSQL: skipped)', async () => {
  const server = await startPostgres(binaries ?? '');
  try {
    const { status, stderr } = spawnSync('sh', [join(FOLDER, 'create-state-store.sh')], {
      encoding: 'utf8',
      env: {
        PATH: path,
        PGHOST: '127.0.0.1',
        PGPORT: String(server.port),
        PGPASSWORD: server.password,
        POSTGRES_USER: 'admin',
        BEAMLINE_DB_PASSWORD: "it's",
      },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const client = new Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'beamline',
      password: "it's",
      database: 'beamline',
    });
    await client.connect();
    await client.query('CREATE TABLE beamline_try (id int)');
    await client.end();
  } finally {
    await server.stop();
  }
});
