import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, Connection, type WorkflowExecutionInfo, type WorkflowHandle } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import Database from 'better-sqlite3';
import { Client as PostgresClient } from 'pg';
import { ClaimCodec } from '../../src/activities/payloads/claim-codec';
import { PayloadStore } from '../../src/activities/payloads/payload-store';
import type { JsonObject } from '../../src/dsl/json';
import { connectClient } from '../../src/worker/temporal-connection';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { startTemporalServer, type TemporalServer } from '../../temporal-dev/server';
import { type AuthorizationServer, startAuthorizationServer } from '../helpers/authorization-server';
import { type RunningCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { ECHO_ROUTES, startEchoServer } from '../helpers/echo-server';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { type FoundValue, planted, type SearchedPlace, searchForms, searchPlaces } from '../helpers/secret-search';
import { eventually, progressWhen } from '../helpers/test-worker';

/** Of the kinds that people have, none of which stands anywhere by chance. */
const SECRETS: Readonly<Record<string, string>> = {
  simple: 's3cr3tValue-0001-zQ',
  odd: 'p+a/s=s w&rd?"<it\'s>%41\\x',
  lines: 'first-l1ne-äöü\n\tsecond "l2ne"\r\nthird\\l3ne',
  wide: 'пароль-秘密-🔑-kľúč-ñ',
  pin: '7391-2846-0275',
  long: randomBytes(9_000).toString('base64'),
};
const PASSWORD = 'hunter22/shop-p4ss?w&rd';
const CLIENT_SECRET = 'cl1ent-5ecret-of/oauth+2';
const TOKEN = 'acc3ss-token-given-by-server';
/** Parts of the long one, where a part of it is left. */
const PIECES = [0, 4_000, 11_900].map((start) => (SECRETS.long ?? '').slice(start, start + 60));
const VALUES = [...Object.values(SECRETS), PASSWORD, CLIENT_SECRET, TOKEN, ...PIECES];
/** Is in the flows' data, which is no secret, and so has to be found wherever flows leave something. */
const CANARY = 'canary/of the+flows=ü';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const paths = {
  secrets: join(folder, 'secrets'),
  blobs: join(folder, 'blobs'),
  catalog: join(folder, 'catalog'),
  db: join(folder, 'temporal.db'),
  serverLog: join(folder, 'temporal.log'),
};
const servers = new LoopbackServers();
const binaries = findPostgresBinaries();
let echo: LoopbackServer;
let authorization: AuthorizationServer;
let postgres: TestPostgres | undefined;
let temporal: TemporalServer;
let worker: RunningCli;
let client: Client;
let closeClient: () => Promise<void>;
/** What commands printed. */
const printed: string[] = [];
let places: SearchedPlace[] = [];

beforeAll(async () => {
  for (const path of [paths.secrets, paths.catalog]) mkdirSync(path);
  for (const [name, value] of Object.entries(SECRETS)) writeFileSync(join(paths.secrets, name), value);
  writeFileSync(join(paths.secrets, 'shop'), JSON.stringify({ username: 'shop-user', password: PASSWORD }));
  echo = await startEchoServer(servers);
  authorization = await startAuthorizationServer(servers);
  authorization.behaviour.token = () => TOKEN;
  const login = {
    authority: `${authorization.origin}/realms/shop`,
    grant: 'client_credentials',
    client: { id: 'beamline', secret: CLIENT_SECRET },
  };
  writeFileSync(join(paths.secrets, 'login'), JSON.stringify(login));
  writeFileSync(
    join(paths.catalog, 'child.yaml'),
    flowText('child', 'cel', callSteps(['refuse', 'encodings'], 'odd', 'caught')),
  );
  if (binaries !== undefined) {
    postgres = await startPostgres(binaries);
    const database = new PostgresClient({ connectionString: postgres.url });
    await database.connect();
    await database.query('CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE CHECK (length(v) > 3))');
    await database.end();
  }
  const log = () => undefined;
  const cli = await findTemporal({ log, canInstall: false });
  temporal = await startTemporalServer({ cli, headless: true, log, dbFile: paths.db, logFile: paths.serverLog });
  const databases = [
    `test=sqlite:${join(folder, 'test.db')}`,
    ...(postgres === undefined ? [] : [`pg=${postgres.url}`]),
  ];
  worker = startCli([
    'worker',
    ...['--address', temporal.address, '--secret-folder', paths.secrets, '--blob-root', paths.blobs],
    ...['--catalog', paths.catalog, '--allow-host', '127.0.0.1', '--log-level', 'trace', '--pools', 'io,cpu'],
    ...databases.flatMap((database) => ['--database', database]),
  ]);
  await worker.waitFor(/worker started.*\n.*worker started/);
  ({ client, close: closeClient } = await connectClient({
    address: temporal.address,
    namespace: temporal.namespace,
    blobRoot: paths.blobs,
  }));
}, 120_000);
afterAll(async () => {
  await closeClient();
  worker.kill();
  await worker.exited;
  await temporal.stop();
  await postgres?.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

function flowText(name: string, language: string, steps: readonly JsonObject[]): string {
  return JSON.stringify({
    document: { dsl: '1.0.3', namespace: 'search', name, version: '1.0.0' },
    evaluate: { language },
    use: { secrets: [...Object.keys(SECRETS), 'shop', 'login'] },
    do: steps,
  });
}

const RETRY = { retry: { maximumAttempts: 2, initialInterval: 'PT0.05S' } };

/** The step in a `try`, whose error, if there is one, becomes the output. */
function caught(name: string, step: JsonObject): JsonObject {
  return {
    [name]: {
      try: [{ [`${name}Call`]: step }],
      catch: { as: 'problem', do: [{ [`${name}Problem`]: { set: { problem: '${ problem }' } } }] },
    },
  };
}

const secretOf = (name: string) => `\${ secrets.${name} }`;

function callSteps(routes: readonly string[], secret: string, prefix: string): JsonObject[] {
  return routes.map((route, index) =>
    caught(`${prefix}${index}`, {
      call: 'http',
      with: {
        method: 'post',
        endpoint: `${echo.origin}/${route}/?${prefix}`,
        body: secretOf(secret),
        output: 'response',
      },
      metadata: RETRY,
    }),
  );
}

/** Everything that a step can do with one secret, and every way in which that comes back. */
function stepsOf(secret: string): JsonObject[] {
  const value = secretOf(secret);
  const http = (name: string, args: JsonObject, metadata: JsonObject = RETRY) =>
    caught(name, { call: 'http', with: { method: 'post', output: 'response', ...args }, metadata });
  const sql = (name: string, database: string, statement: string) =>
    caught(name, {
      call: statement.startsWith('SELECT') ? 'sql.query' : 'sql.execute',
      with: { database, statement, parameters: { x: value } },
      metadata: { retry: { maximumAttempts: 1 } },
    });
  return [
    ...callSteps(
      ECHO_ROUTES.filter((name) => name !== 'slow'),
      secret,
      'route',
    ),
    http('path', { endpoint: `\${ "${echo.origin}/refuse/" + secrets.${secret} }` }),
    http('query', { endpoint: `${echo.origin}/refuse`, query: { key: value } }),
    http('header', { endpoint: `${echo.origin}/refuse`, headers: { 'x-key': value } }),
    http('headerName', { endpoint: `${echo.origin}/json`, headers: { [`x-${secret}`]: `Bearer ${value}` } }),
    http('host', { endpoint: `\${ "http://" + secrets.${secret} + ".invalid/" }` }),
    http('port', { endpoint: `\${ "http://127.0.0.1:" + secrets.${secret} + "/" }` }),
    http('body', { endpoint: `${echo.origin}/json`, body: { deep: [{ text: `before ${value} after` }] } }),
    http('child', { endpoint: `${echo.origin}/encodings`, body: value }, { resources: 'cpu', ...RETRY }),
    http('childFails', { endpoint: `${echo.origin}/refuse`, body: value }, { resources: 'cpu', ...RETRY }),
    http(
      'cached',
      { endpoint: `${echo.origin}/encodings`, body: value },
      { cache: { maxAge: 'PT1H', key: `echo of ${secret}` } },
    ),
    http('basic', {
      endpoint: { uri: `${echo.origin}/json`, authentication: { basic: { username: 'me', password: value } } },
    }),
    http('bearer', { endpoint: { uri: `${echo.origin}/refuse`, authentication: { bearer: { token: value } } } }),
    http('digest', {
      endpoint: { uri: `${echo.origin}/refuse`, authentication: { digest: { username: 'me', password: value } } },
    }),
    http('grant', {
      endpoint: {
        uri: `${echo.origin}/json`,
        authentication: {
          oauth2: {
            authority: `${echo.origin}/refuse`,
            grant: 'client_credentials',
            client: { id: 'me', secret: value },
          },
        },
      },
    }),
    caught('streamTo', {
      call: 'http.stream',
      with: { endpoint: `${echo.origin}/json`, to: `\${ "../" + secrets.${secret} }` },
    }),
    caught('slowStream', {
      call: 'http.stream',
      with: { endpoint: `\${ "${echo.origin}/slow/" + secrets.${secret} }`, to: 'streams/two' },
    }),
    caught('put', { call: 'fs.put', with: { path: `\${ "blobs/" + secrets.${secret} }`, content: value } }),
    caught('get', { call: 'fs.get', with: { path: `\${ "nowhere/" + secrets.${secret} }` }, metadata: RETRY }),
    caught('readBack', { call: 'fs.get', with: { path: `\${ "blobs/" + secrets.${secret} }`, as: 'base64' } }),
    caught('badPath', { call: 'fs.stat', with: { path: `\${ "/../" + secrets.${secret} }` } }),
    caught('list', { call: 'fs.list', with: { prefix: `\${ "blobs/" + secrets.${secret} }` } }),
    sql('select', 'test', 'SELECT :x AS v, hex(:x) AS h, lower(hex(:x)) AS l, upper(:x) AS u, quote(:x) AS q'),
    sql('malformed', 'test', 'SELECT json(:x) AS v'),
    sql('insert', 'test', 'INSERT INTO nowhere (v) VALUES (:x)'),
    ...(postgres === undefined
      ? []
      : [
          sql(
            'pgSelect',
            'pg',
            "SELECT :x::text AS v, :x::text::bytea AS b, encode(convert_to(:x::text, 'UTF8'), 'base64') AS e",
          ),
          sql('pgCast', 'pg', 'SELECT CAST(:x AS integer) AS v'),
          sql('pgJson', 'pg', 'SELECT CAST(:x AS json) AS v'),
          sql('pgInsert', 'pg', 'INSERT INTO t (id, v) VALUES (1, :x) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v'),
          sql('pgTwice', 'pg', 'INSERT INTO t (id, v) VALUES (2, :x), (3, :x)'),
          sql('pgCheck', 'pg', 'INSERT INTO t (id, v) VALUES (NULL, :x)'),
          sql('pgRaise', 'pg', "SELECT CAST(:x || ' is no date' AS date) AS v"),
        ]),
    { sub: { run: { workflow: { namespace: 'search', name: 'child', version: '1.0.0' } } } },
    {
      loop: {
        for: { each: 'item', in: '${ ["a", "b", "c", "d"] }' },
        metadata: { concurrency: 4, batchSize: 2 },
        do: [http('inLoop', { endpoint: `\${ "${echo.origin}/refuse/" + item }`, body: value })],
      },
    },
    {
      tell: {
        call: 'http',
        with: { method: 'post', endpoint: `${echo.origin}/json`, body: value },
        metadata: { summary: `told ${CANARY}` },
      },
    },
    { ask: { call: 'human.approval', with: { title: `Is ${CANARY} right?`, description: '${ data.body }' } } },
    {
      all: {
        set: { canary: CANARY, steps: '${ string(steps.tell.output.body) }', large: '${ workflow.input.large }' },
      },
    },
  ];
}

/** With the placeholder in expressions of the other languages, and their errors. */
function foreignSteps(language: 'jq' | 'jsonata'): JsonObject[] {
  const expressions =
    language === 'jq'
      ? [
          '$secrets.odd | tonumber',
          '$secrets.odd | error',
          '"a" + $secrets.odd',
          '{a: $secrets.odd} | .a.b.c',
          '[$secrets.long] | tostring',
        ]
      : [
          '$number($secrets.odd)',
          '$error($secrets.odd)',
          '"a" & $secrets.odd',
          '$eval($secrets.odd)',
          '$string([$secrets.long])',
        ];
  return expressions
    .map((expression, index) =>
      caught(`s${index}`, {
        call: 'http',
        with: { method: 'post', endpoint: `${echo.origin}/refuse`, body: `\${ ${expression} }` },
        metadata: RETRY,
      }),
    )
    .map((step) => JSON.parse(JSON.stringify(step).replaceAll('${ problem }', '${ $problem }')) as JsonObject);
}

/** Fails at its end, and undoes what it did with secrets, which fails in part. */
function failingSteps(secret: string): JsonObject[] {
  const undo = (route: string) => [
    {
      [`undo${route}`]: {
        call: 'http',
        with: { method: 'post', endpoint: `${echo.origin}/${route}/undo`, body: secretOf(secret) },
        metadata: RETRY,
      },
    },
  ];
  const done = (name: string, route: string) => ({
    [name]: {
      call: 'http',
      with: { method: 'post', endpoint: `${echo.origin}/json`, body: secretOf(secret) },
      metadata: { compensate: undo(route) },
    },
  });
  return [
    done('one', 'never'),
    done('two', 'encodings'),
    {
      end: {
        call: 'http',
        with: { method: 'post', endpoint: `${echo.origin}/refuse/end`, body: secretOf(secret) },
        metadata: RETRY,
      },
    },
  ];
}

function loginSteps(): JsonObject[] {
  const endpoint = (uri: string, scheme: string, use: string) => ({ uri, authentication: { [scheme]: { use } } });
  return [
    caught('token', {
      call: 'http',
      with: { method: 'get', endpoint: endpoint(`${authorization.origin}/resource`, 'oauth2', 'login') },
    }),
    caught('said', {
      call: 'http',
      with: { method: 'post', endpoint: endpoint(`${echo.origin}/json`, 'oauth2', 'login'), output: 'response' },
    }),
    caught('refused', {
      call: 'http',
      with: { method: 'post', endpoint: endpoint(`${echo.origin}/refuse`, 'oauth2', 'login') },
      metadata: RETRY,
    }),
    caught('child', {
      call: 'http',
      with: { method: 'post', endpoint: endpoint(`${echo.origin}/refuse`, 'oauth2', 'login') },
      metadata: { resources: 'cpu', ...RETRY },
    }),
    caught('shop', {
      call: 'http',
      with: { method: 'post', endpoint: endpoint(`${echo.origin}/refuse`, 'basic', 'shop') },
      metadata: RETRY,
    }),
    caught('digest', {
      call: 'http',
      with: { method: 'post', endpoint: endpoint(`${echo.origin}/refuse`, 'digest', 'shop') },
      metadata: RETRY,
    }),
    {
      whole: {
        call: 'http',
        with: {
          method: 'post',
          endpoint: `${echo.origin}/refuse`,
          body: { all: secretOf('login'), text: `x ${secretOf('shop')}` },
        },
        metadata: RETRY,
      },
    },
  ];
}

function start(name: string, text: string): Promise<WorkflowHandle> {
  const input = { canary: CANARY, large: `${CANARY} `.repeat(20_000) };
  return client.workflow.start('runFlow', {
    taskQueue: 'beamline-io',
    workflowId: `${name}-canary-${randomUUID()}`,
    args: [{ flow: JSON.parse(text) as JsonObject, input, tenant: 'acme', requestedBy: CANARY }],
    memo: { note: CANARY },
  });
}

/** Runs all flows to their ends, side by side, decides on what they ask, and prints what commands say of them. */
async function runAll(): Promise<void> {
  const flows = [
    ...Object.keys(SECRETS).map((secret) => runApproved(secret)),
    ...Object.keys(SECRETS).map((secret) =>
      start(`failing-${secret}`, flowText('failing', 'cel', failingSteps(secret))),
    ),
    ...(['jq', 'jsonata'] as const).map((language) =>
      start(language, flowText(language, language, foreignSteps(language))),
    ),
    start('login', flowText('login', 'cel', loginSteps())),
  ];
  const handles = await Promise.all(flows);
  await Promise.all(handles.map((handle) => handle.result().catch(() => undefined)));
  const file = join(folder, 'failing.json');
  writeFileSync(file, flowText('failing', 'cel', failingSteps('odd')));
  const input = JSON.stringify({ canary: CANARY });
  const where = ['--address', temporal.address, '--blob-root', paths.blobs];
  for (const args of [
    ['run', file, '--input', input, '--tenant', 'acme', ...where],
    ['run', file, '--input', input, '--tenant', 'acme', '--json', ...where],
    ['graph', '--run', handles[0]?.workflowId ?? '', ...where],
    ['approvals', 'show', `${handles[0]?.workflowId}/ask`, '--json', ...where],
    ['approvals', 'list', ...where],
  ]) {
    const { stdout, stderr } = await runInProcess(args);
    printed.push(stdout, stderr);
  }
}

async function runApproved(secret: string): Promise<WorkflowHandle> {
  const handle = await start(secret, flowText(secret, 'cel', stepsOf(secret)));
  await progressWhen(handle, ({ status }) => status !== 'Running', 90_000);
  if ((await handle.describe()).status.name !== 'RUNNING') await handle.result();
  const where = ['--address', temporal.address, '--blob-root', paths.blobs];
  const args = ['approvals', 'approve', handle.workflowId, '--by', 'ann', '--comment', CANARY, ...where];
  // The flow says that it waits as it starts the approval, which is in Temporal's lists a moment later.
  const { stdout, stderr, code } = await eventually(async () => {
    const done = await runInProcess(args);
    return done.stderr.includes('no approval of the flow') ? undefined : done;
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  printed.push(stdout, stderr);
  return handle;
}

/** Workflows that are looked through at once. */
const LANES = 6;

/** What workflows leave, by place. */
type Parts = Record<'histories' | 'payloads' | 'visibility' | 'queries', (string | Buffer)[]>;

/** Everything that a run leaves, by place. */
async function collect(): Promise<SearchedPlace[]> {
  const parts: Parts = { histories: [], payloads: [], visibility: [], queries: [] };
  const connection = await Connection.connect({ address: temporal.address });
  const workflows: WorkflowExecutionInfo[] = [];
  for await (const info of client.workflow.list()) workflows.push(info);
  const lane = async () => {
    for (let info = workflows.pop(); info !== undefined; info = workflows.pop())
      await collectWorkflow(info, connection, parts);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await connection.close();
  const found = Object.entries(parts).map(([name, content]) => placeOf(name, content));
  return [
    ...found,
    placeOf('log of the worker', [worker.stdout()]),
    placeOf('errors of the worker', [worker.stderr()]),
    placeOf('output of commands', printed),
    placeOf('log of the server', [readFileSync(paths.serverLog)]),
    placeOf('step cache', readTree(join(paths.blobs, 'cache'))),
    placeOf('payload store', readTree(join(paths.blobs, 'payloads'))),
    placeOf(
      'database of the server',
      [paths.db, `${paths.db}-wal`].map((file) => readFileSync(file)),
    ),
    placeOf('rows of the database', rowsOf(paths.db)),
  ];
}

async function collectWorkflow(info: WorkflowExecutionInfo, connection: Connection, parts: Parts): Promise<void> {
  const { workflowId, runId } = info;
  const { namespace } = temporal;
  parts.visibility.push(JSON.stringify({ ...info, raw: undefined }), JSON.stringify(info.raw));
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const text = JSON.stringify(history);
  parts.histories.push(text);
  const store = new PayloadStore({ blobRoot: paths.blobs, canCreate: false });
  const codec = new ClaimCodec({ store, namespace, role: 'client' });
  // A claim is for one workflow id: this one's, or a child's.
  const ids = [workflowId, ...childrenIn(text)];
  for (const payload of payloadsOf(history)) {
    parts.payloads.push(Buffer.from(payload.data ?? []));
    for (const id of ids) {
      const [whole] = await codec.decode([payload], { type: 'workflow', namespace, workflowId: id }).catch(() => []);
      if (whole !== undefined && whole !== payload) parts.payloads.push(Buffer.from(whole.data ?? []));
    }
  }
  for (const queryType of ['progress', 'state', 'subscriptions', '__temporal_workflow_metadata', '__stack_trace']) {
    const query = { namespace, execution: { workflowId, runId }, query: { queryType } };
    const answer = await connection.workflowService
      .queryWorkflow(query)
      .catch((error: Error) => ({ queryResult: undefined, error: error.message }));
    const found = (answer.queryResult?.payloads ?? []).map(({ data }) => Buffer.from(data ?? []));
    parts.queries.push(JSON.stringify(answer), ...found);
  }
}

function placeOf(name: string, content: readonly (string | Buffer)[]): SearchedPlace {
  const bytes = content.flatMap((part) => [typeof part === 'string' ? Buffer.from(part) : part, Buffer.from('\n')]);
  return { name, content: Buffer.concat(bytes) };
}

/** Names of files count, too. */
function readTree(path: string): (string | Buffer)[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const file = join(path, name);
    return statSync(file).isFile() ? [name, readFileSync(file)] : [name];
  });
}

/** Every text and blob, whole: a long one is spread over pages of the file. */
function rowsOf(file: string): (string | Buffer)[] {
  const database = new Database(file, { readonly: true });
  const cells: (string | Buffer)[] = [];
  const tables = database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_fts%'")
    .pluck()
    .all();
  for (const table of tables as string[]) {
    for (const row of database.prepare(`SELECT * FROM "${table}"`).raw().iterate()) {
      for (const cell of row as unknown[]) {
        if (typeof cell === 'string' || Buffer.isBuffer(cell)) cells.push(cell);
      }
    }
  }
  database.close();
  return cells;
}

function payloadsOf(value: unknown): Payload[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const { metadata, data } = value as Payload;
  const own = metadata?.encoding != null && data != null ? [bytesOf(value as Payload)] : [];
  return [...own, ...Object.values(value).flatMap(payloadsOf)];
}

function bytesOf({ metadata, data }: Payload): Payload {
  const bytes = (part: unknown) =>
    typeof part === 'string' ? Buffer.from(part, 'base64') : Buffer.from(part as Uint8Array);
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, part]) => [key, bytes(part)])),
    data: bytes(data),
  };
}

/** Workflow ids in the text of a history. */
function childrenIn(history: string): string[] {
  const ids = history.matchAll(/"workflowId":"([^"]+)"/g);
  return [...new Set([...ids].map(([, id = '']) => id))];
}

test('flows use secrets in every way there is, and the services saw them', async () => {
  await runAll();
  await eventually(async () => (echo.requests.length > 100 ? true : undefined));
  for (const secret of Object.values(SECRETS)) {
    expect(
      echo.requests.some(({ body, url }) => body.includes(secret) || url.includes(encodeURIComponent(secret))),
    ).toBe(true);
  }
  expect(authorization.tokenRequests()).toContainEqual(expect.objectContaining({ client_secret: CLIENT_SECRET }));
  expect(echo.requests.some(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
  places = await collect();
}, 300_000);

test('what is no secret is found, wherever flows leave anything', () => {
  const found = new Set(searchPlaces(places, [CANARY]).map(({ place }) => place));
  expect([...found].sort()).toEqual(
    [
      'database of the server',
      'histories',
      'output of commands',
      'payload store',
      'payloads',
      'queries',
      'rows of the database',
      'visibility',
    ].sort(),
  );
  for (const { name, content } of places) {
    if (name !== 'errors of the worker' && name !== 'log of the server')
      expect([name, content.length > 100]).toEqual([name, true]);
  }
  const has = (name: string, text: string) => places.find((place) => place.name === name)?.content.includes(text);
  expect(has('log of the worker', 'canary')).toBe(true);
  expect(has('log of the worker', '"error_code":"BLW_HTTP_STATUS"')).toBe(true);
  expect(has('step cache', '***')).toBe(true);
  expect(has('payloads', '***')).toBe(true);
});

test('each form of each value is found where it is put, in every place', () => {
  const expected = VALUES.flatMap((value) =>
    [...searchForms(value)].map(([form, bytes]) => ({ value: value.slice(0, 40), form, bytes })),
  );
  for (const place of places) {
    const all = Buffer.concat(expected.flatMap(({ bytes }) => [Buffer.from('\n'), bytes]));
    const found = searchPlaces([planted(place, all)], VALUES);
    for (const { value, form } of expected)
      expect(found).toContainEqual<FoundValue>({ place: place.name, value, form });
  }
}, 60_000);

test('no secret is found anywhere, in any form', () => {
  expect(searchPlaces(places, VALUES)).toEqual([]);
});
