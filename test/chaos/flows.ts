import type { Json, JsonObject } from '../../src/dsl/json';

/** What a flow has to have done when it has ended as it should. Keys are unique to the flow. */
export interface Expectation {
  /** Keys under which requests had an effect. */
  readonly http: readonly string[];
  /** Keys of rows in the SQLite database. */
  readonly sqlite: readonly string[];
  /** Keys of rows in the PostgreSQL database. */
  readonly postgres: readonly string[];
  /** Contents of blobs, by their paths. */
  readonly blobs: Readonly<Record<string, Buffer>>;
  /** Paths where no blob may be. */
  readonly gone: readonly string[];
}

export interface FlowKind {
  readonly name: string;
  /** How it ends: as a workflow, and with which code where it fails. */
  readonly ends: 'COMPLETED' | 'FAILED' | 'CANCELLED';
  readonly code?: string;
  /** The start input, and what it is to do. */
  make(id: string, service: string): { readonly args: readonly unknown[]; readonly expects: Expectation };
}

const NOTHING: Expectation = { http: [], sqlite: [], postgres: [], blobs: {}, gone: [] };

/** Outages are shorter than what these attempts last; a lost worker is noticed after three seconds. */
const METADATA = {
  heartbeat: 'PT3S',
  timeout: 'PT30S',
  retry: { initialInterval: 'PT0.2S', maximumInterval: 'PT2S', maximumAttempts: 1_000 },
};

function flowOf(name: string, tasks: readonly JsonObject[]): JsonObject {
  return {
    document: { dsl: '1.0.3', namespace: 'chaos', name, version: '1.0.0', metadata: METADATA },
    evaluate: { language: 'cel' },
    do: [...tasks],
  };
}

const started = (flow: Json): readonly unknown[] => [{ flow, input: null }];

/** A row that nothing but the ledger of the database keeps from being written twice. */
function insert(database: 'lite' | 'pg', key: string, more: JsonObject = {}): JsonObject {
  const statement = 'INSERT INTO chaos_effects (effect) VALUES (:effect)';
  return { call: 'sql.execute', with: { database, statement, parameters: { effect: key } }, ...more };
}

function request(method: string, endpoint: string, metadata: JsonObject = {}): JsonObject {
  return { call: 'http', with: { method, endpoint }, metadata };
}

const STREAMED_BYTES = 100_000;

const order: FlowKind = {
  name: 'order',
  ends: 'COMPLETED',
  make(id, service) {
    const flow = flowOf('order', [
      { read: request('get', `${service}/data/10`) },
      { lite: insert('lite', `${id}/lite`) },
      {
        both: {
          call: 'sql.transaction',
          with: {
            database: 'pg',
            statements: ['one', 'two'].map((name) => ({
              statement: 'INSERT INTO chaos_effects (effect) VALUES (:effect)',
              parameters: { effect: `${id}/${name}` },
            })),
          },
        },
      },
      { put: request('put', `${service}/effect/${id}-put`) },
      { once: request('post', `${service}/once`, { idempotent: true }) },
      { post: request('post', `${service}/effect`, { onFailure: 'deadLetter' }) },
      { described: openApi(service, `${id}-described`) },
      { save: { call: 'fs.put', with: { path: `${id}/note.txt`, content: id } } },
      { stat: { call: 'fs.stat', with: { path: `${id}/note.txt` } } },
      { load: { call: 'fs.get', with: { path: `${id}/note.txt` } } },
      { gone: { call: 'fs.put', with: { path: `${id}/gone.txt`, content: id } } },
      { remove: { call: 'fs.delete', with: { path: `${id}/gone.txt` } } },
      {
        stream: {
          call: 'http.stream',
          with: { endpoint: `${service}/data/${STREAMED_BYTES}/${id}`, to: `${id}/stream.bin` },
        },
      },
      {
        each: {
          for: { in: '[0, 1, 2, 3]' },
          metadata: { concurrency: 2 },
          do: [{ row: insert('pg', `\${ "${id}/each" + string(item) }`) }],
        },
      },
      {
        apart: {
          fork: {
            branches: [
              { a: insert('lite', `${id}/a`) },
              { b: insert('pg', `${id}/b`) },
              { c: request('put', `${service}/effect/${id}-c`) },
            ],
          },
        },
      },
      { list: { call: 'fs.list', with: { prefix: `${id}/` } } },
      {
        count: {
          call: 'sql.query',
          with: {
            database: 'pg',
            statement: 'SELECT count(*)::int AS n FROM chaos_effects WHERE effect LIKE :pattern',
            parameters: { pattern: `${id}/%` },
          },
          output: { as: 'data.rows[0].n' },
        },
      },
    ]);
    return {
      args: started(flow),
      expects: {
        http: [
          `PUT /effect/${id}-put`,
          `default:${id}:/do/4/once:0:0`,
          `default:${id}:/do/5/post:0:0`,
          `PUT /effect/${id}-described`,
          `PUT /effect/${id}-c`,
        ],
        sqlite: [`${id}/lite`, `${id}/a`],
        postgres: ['one', 'two', 'each0', 'each1', 'each2', 'each3', 'b'].map((name) => `${id}/${name}`),
        blobs: { [`${id}/note.txt`]: Buffer.from(id), [`${id}/stream.bin`]: Buffer.alloc(STREAMED_BYTES, id) },
        gone: [`${id}/gone.txt`],
      },
    };
  },
};

function openApi(service: string, name: string): JsonObject {
  const document = { endpoint: `${service}/openapi.json` };
  return {
    call: 'openapi',
    with: { document, operationId: 'putEffect', parameters: { name } },
    metadata: { idempotent: true },
  };
}

const approval: FlowKind = {
  name: 'approval',
  ends: 'COMPLETED',
  make: (id) => ({
    args: started(
      flowOf('approval', [
        { before: insert('lite', `${id}/before`) },
        { ask: { call: 'human.approval', with: { title: `Go on with ${id}?`, requiredApprovals: 2 } } },
        { after: insert('pg', `\${ "${id}/by-" + data.decisions.map(d, d.by).join("-") }`) },
      ]),
    ),
    expects: { ...NOTHING, sqlite: [`${id}/before`], postgres: [`${id}/by-alice-bob`] },
  }),
};

const compensation: FlowKind = {
  name: 'compensation',
  ends: 'FAILED',
  code: 'https://chaos.test/refused',
  make: (id, service) => ({
    args: started(
      flowOf('compensation', [
        { a: insert('lite', `${id}/a`, { metadata: { compensate: [{ undo: insert('lite', `${id}/undo-a`) }] } }) },
        {
          b: insert('pg', `${id}/b`, {
            metadata: { compensate: [{ undo: request('put', `${service}/effect/${id}-undo-b`) }] },
          }),
        },
        { refuse: { raise: { error: { type: 'https://chaos.test/refused', status: 409, title: 'refused' } } } },
      ]),
    ),
    expects: {
      ...NOTHING,
      http: [`PUT /effect/${id}-undo-b`],
      sqlite: [`${id}/a`, `${id}/undo-a`],
      postgres: [`${id}/b`],
    },
  }),
};

/** Cancelled by the driver while it waits. */
const cancelled: FlowKind = {
  name: 'cancelled',
  ends: 'CANCELLED',
  make: (id) => ({
    args: started(
      flowOf('cancelled', [
        { a: insert('pg', `${id}/a`, { metadata: { compensate: [{ undo: insert('pg', `${id}/undo-a`) }] } }) },
        { wait: { wait: 'PT1H' } },
      ]),
    ),
    expects: { ...NOTHING, postgres: [`${id}/a`, `${id}/undo-a`] },
  }),
};

const events: FlowKind = {
  name: 'events',
  ends: 'COMPLETED',
  make: (id) => ({
    args: started(
      flowOf('events', [
        {
          both: {
            fork: {
              branches: [
                { hear: { listen: { to: { one: { with: { type: `chaos.${id}` } } } } } },
                {
                  tell: {
                    do: [
                      // Who listens later does not hear it: told until it was heard would be the flow's own business.
                      { pause: { wait: 'PT2S' } },
                      { say: { emit: { event: { with: { source: `/${id}`, type: `chaos.${id}`, data: { n: 1 } } } } } },
                    ],
                  },
                },
              ],
            },
          },
        },
        { after: insert('lite', `\${ "${id}/heard" + string(size(data[0])) }`) },
      ]),
    ),
    expects: { ...NOTHING, sqlite: [`${id}/heard1`] },
  }),
};

/** Takes more memory than a step may have; its process dies, and the flow goes on. */
const memory: FlowKind = {
  name: 'memory',
  ends: 'COMPLETED',
  make: (id) => ({
    args: started(
      flowOf('memory', [
        {
          eat: {
            call: 'sql.query',
            metadata: { onFailure: 'continue', retry: { maximumAttempts: 1 } },
            with: {
              database: 'lite',
              statement:
                'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300) SELECT length(group_concat(hex(randomblob(1000000)))) AS size FROM n',
            },
          },
        },
        { after: insert('lite', `\${ "${id}/" + (has(steps.eat.error) ? steps.eat.error.code : "lived") }`) },
      ]),
    ),
    expects: { ...NOTHING, sqlite: [`${id}/BLW_BLOCK_CRASHED`] },
  }),
};

/** What no worker may trip over. */
const poison: readonly FlowKind[] = [
  ['no flow', 'BLW_START_INVALID', () => [42]],
  ['no argument', 'BLW_START_INVALID', () => []],
  ['an empty document', 'BLW_FLOW_INVALID', () => started({})],
  [
    'a block that is not known',
    'BLW_FLOW_INVALID',
    () => started(flowOf('poison', [{ a: { call: 'no.such', with: {} } }])),
  ],
  [
    'an endless loop',
    'BLW_STEP_LIMIT',
    () => started(flowOf('poison', [JSON.parse('{"a": {"set": {"n": 1}, "then": "a"}}') as JsonObject])),
  ],
  [
    'a host that is denied',
    'BLW_HTTP_HOST_DENIED',
    () => started(flowOf('poison', [{ a: request('get', 'http://169.254.169.254/') }])),
  ],
  [
    'an expression without end',
    'BLW_EXPR_FAILED',
    () => started(flowOf('poison', [{ a: { set: { n: '${ data.none.at.all }' } } }])),
  ],
].map(([name, code, args]) => ({
  name: `poison: ${name as string}`,
  ends: 'FAILED',
  code: code as string,
  make: () => ({ args: (args as () => readonly unknown[])(), expects: NOTHING }),
}));

/** A quick one, by which the time to recovery is told. */
export const PROBE: FlowKind = {
  name: 'probe',
  ends: 'COMPLETED',
  make: (id, service) => ({
    args: started(
      flowOf('probe', [
        { a: insert('lite', `${id}/a`) },
        { b: insert('pg', `${id}/b`) },
        { c: request('put', `${service}/effect/${id}-c`) },
        { d: { call: 'fs.put', with: { path: `${id}/probe.txt`, content: id } } },
      ]),
    ),
    expects: {
      http: [`PUT /effect/${id}-c`],
      sqlite: [`${id}/a`],
      postgres: [`${id}/b`],
      blobs: { [`${id}/probe.txt`]: Buffer.from(id) },
      gone: [],
    },
  }),
};

/** The mix: the more often in it, the more often it runs. */
export const FLOW_KINDS: readonly FlowKind[] = [order, order, order, approval, compensation, cancelled, events];
export const MEMORY_KIND = memory;
export const POISON_KINDS = poison;
