import type { JsonObject } from '../../src/dsl/json';
import { type FlowKind, flowOf, insert, NOTHING, request, started } from './flow-kind';
import { EVENTS_KIND, TOLD_KIND } from './message-flows';
import { COMMANDED_KIND, LETTER_KINDS, REDRIVEN_KIND } from './repair-flows';

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
        ...NOTHING,
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
        mayPark: ['/do/5/post'],
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
  act: 'approve',
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
  act: 'cancel',
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
      ...NOTHING,
      http: [`PUT /effect/${id}-c`],
      sqlite: [`${id}/a`],
      postgres: [`${id}/b`],
      blobs: { [`${id}/probe.txt`]: Buffer.from(id) },
    },
  }),
};

/** Reads and writes in place, round by round, and tells of it: what a lost worker has read it reads again, and nothing goes out twice. */
const inPlace: FlowKind = {
  name: 'in place',
  ends: 'COMPLETED',
  make(id, service) {
    const rounds = [0, 1, 2, 3, 4, 5];
    const metadata = { dispatch: 'local' };
    const flow = flowOf('in-place', [
      {
        rounds: {
          for: { in: JSON.stringify(rounds) },
          do: [
            { row: insert('lite', `\${ "${id}/round" + string(item) }`, { metadata }) },
            { read: request('get', `${service}/data/10`, metadata) },
            { stat: { call: 'fs.stat', with: { path: `${id}/none`, ifMissing: 'ignore' }, metadata } },
          ],
        },
      },
      { say: { emit: { event: { with: { source: `/${id}`, type: `chaos.${id}`, data: { n: 1 } } } } } },
    ]);
    return {
      args: started(flow),
      expects: { ...NOTHING, sqlite: rounds.map((round) => `${id}/round${round}`), emits: [`chaos.${id}`] },
    };
  },
};

/** The mix: the more often in it, the more often it runs. */
export const FLOW_KINDS: readonly FlowKind[] = [
  ...[order, order, order, approval, compensation, cancelled, inPlace, inPlace],
  ...[EVENTS_KIND, TOLD_KIND, COMMANDED_KIND, REDRIVEN_KIND, REDRIVEN_KIND],
  ...LETTER_KINDS,
];
