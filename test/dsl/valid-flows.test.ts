import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { parseDocumentText } from '../../src/dsl/document';
import { FLOW_TEST_FILE } from '../../src/dsl/flow-test/flow-test';
import type { Json } from '../../src/dsl/json';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { flowText, HEADER, validFlow } from './marked-flow';

const ROOT = join(__dirname, '../..');
const EXAMPLES = join(ROOT, 'examples');
const OWS = join(ROOT, '../shared/ows');
const OWS_EXAMPLES = join(OWS, 'examples');
const OWS_SCHEMA = join(OWS, 'schema/workflow.yaml');

const filesIn = (folder: string) =>
  (existsSync(folder) ? readdirSync(folder) : []).filter((file) => /\.ya?ml$/.test(file));
/** Beside the flows there are a policy, and tests of flows. */
const FLOWS = filesIn(EXAMPLES).filter((file) => file !== 'policy.yaml' && !FLOW_TEST_FILE.test(file));
const ifThere = (path: string) => (existsSync(path) ? it : it.skip);

/** A flow with every kind of task and every part of each. */
const EVERYTHING = flowText(
  `- kinds:
    do:
      - call: { call: http, with: { method: get, endpoint: { uri: 'https://x.test/{id}', authentication: { use: shop } } } }
      - set: { set: { a: 1, b: [2, { c: '\${ data }' }] }, then: wait }
      - setAll: { set: 'data.map(x, x)' }
      - wait: { wait: { days: 1, hours: 2, minutes: 3, seconds: 4, milliseconds: 5 } }
      - switch:
          switch:
            - first: { when: data.a == 1, then: for }
            - otherwise: { then: continue }
      - for:
          for: { each: order, at: position, in: '\${ data.orders }' }
          while: order.open
          do:
            - store: { call: fs.put, with: { path: 'orders/\${ order.id }', content: '\${ order }' } }
      - forList: { for: { in: [{ a: 1 }, { a: 2 }] }, do: [{ pause: { wait: PT1S } }] }
      - fork: { fork: { compete: true, branches: [{ a: { wait: PT1S } }, { b: { wait: PT2S, then: exit } }] } }
      - try:
          try: [{ fragile: { call: sql.query, with: { database: a, statement: SELECT 1 } } }]
          catch:
            errors: { with: { type: 'https://open-workflow-specification.org/spec/1.0.0/errors/communication', status: 503 } }
            as: problem
            when: problem.status == 503
            exceptWhen: problem.title == "no"
            retry:
              when: problem.status == 503
              exceptWhen: 'false'
              delay: { seconds: 1 }
              backoff: { exponential: {} }
              limit: { attempt: { count: 3, duration: PT1M }, duration: PT1H }
              jitter: { from: PT0S, to: PT1S }
            do: [{ report: { set: { title: '\${ problem.title }' } } }]
            then: raise
      - tryAgain: { try: [{ a: { wait: PT1S } }], catch: { retry: patient } }
      - emit: { emit: { event: { with: { type: order.placed, source: 'https://x.test/{id}', subject: '\${ data.id }', data: { a: '\${ data }' } } } } }
      - listen:
          listen:
            to:
              any:
                - with: { type: order.*, data: '\${ data.total > 10 }' }
                  correlate: { order: { from: data.data.id, expect: '\${ workflow.input.id }' } }
              until: { all: [{ with: { type: closed } }, { with: { source: /shop } }] }
            read: envelope
          foreach:
            item: event
            at: position
            do: [{ keep: { set: { a: '\${ event.id }', b: '\${ position }' } } }]
            output: { as: data.a }
            export: { as: { last: '\${ output }' } }
      - listenOne: { listen: { to: { one: { with: { type: a } } } } }
      - listenAll: { listen: { to: { all: [{ with: { type: a } }] } } }
      - listenAny: { listen: { to: { any: [], until: data.size() == 3 } } }
      - raise: { if: data.a > 1, raise: { error: { type: 'https://x.test/e', status: 409, title: T, detail: '\${ data.b }' } } }
      - raiseNamed: { if: data.a > 1, raise: { error: soldOut } }
    if: data.ready
    input: { from: { a: '\${ data }' }, schema: { format: json, document: { type: object } } }
    output: { as: data.result, schema: { document: true } }
    export: { as: { last: '\${ output }', all: '\${ context }' }, schema: { document: { type: object } } }
    timeout: long
    then: end
    metadata: { owner: me }
- approve:
    call: human.approval
    with: { title: 'Order \${ data.id }?', timeout: P2D, onTimeout: reject, assignees: { groups: [finance] } }
    timeout: { after: P3D }
- stored:
    call: sql.execute
    with: { database: shop, statement: 'INSERT INTO t VALUES (:a)', parameters: { a: '\${ data.a }' } }
    metadata:
      resources: cpu
      timeout: PT1M
      heartbeat: PT10S
      idempotent: true
      priorityKey: 2
      fairnessWeight: 0.5
      summary: 'Row \${ data.a }'
      retry:
        initialInterval: PT2S
        backoffCoefficient: 1.5
        maximumInterval: { minutes: 1 }
        maximumAttempts: 7
        nonRetryableErrorTypes: [BLW_SQL_CONSTRAINT]
`.trimEnd(),
  `input: { schema: { document: { $schema: 'http://json-schema.org/draft-07/schema#', type: object } }, from: data.order }
timeout: { after: '\${ data.limit }' }
use:
  authentications: { shop: { basic: { username: a, password: '\${ workflow.input.password }' } } }
  errors: { soldOut: { type: 'https://x.test/sold-out', status: 410, instance: /do/0 } }
  timeouts: { long: { after: PT1H } }
  retries: { patient: { delay: PT1M, backoff: { linear: {} }, limit: { attempt: { count: 5 } } } }
output: { as: { id: '\${ workflow.id }', step: '\${ steps.approve.output }' }, schema: { document: {} } }
`,
);

describe('valid documents', () => {
  it('takes every kind of task with every part', () => {
    expect(planFlow(validFlow(EVERYTHING)).tasks).toHaveLength(3);
  });

  it('takes the same document as JSON text and as data', () => {
    const flow = validFlow(EVERYTHING);
    expect(validFlow(JSON.stringify(flow))).toEqual(flow);
  });

  it.each(FLOWS)('takes examples/%s', (file) => {
    expect(validateFlowText(readFileSync(join(EXAMPLES, file), 'utf8')).problems).toEqual([]);
  });

  it.each([
    ['a version with a label', `${HEADER.replace("'1.0.0'", "'1.0.0-rc.1+build.5'")}do: [{ a: { wait: PT1S } }]`],
    ['anchors and aliases', `${HEADER}do: [{ a: &pause { wait: &time PT1S } }, { b: *pause }, { c: { wait: *time } }]`],
    ['a byte order mark and CRLF', `\uFEFF${HEADER}do: [{ a: { wait: PT1S } }]\n`.replaceAll('\n', '\r\n')],
  ])('takes %s', (_what, text) => {
    expect(validateFlowText(text).problems).toEqual([]);
  });
});

describe('documents written elsewhere', () => {
  ifThere(OWS_EXAMPLES)("the specification's examples are valid, or refused for what is not supported", () => {
    const files = filesIn(OWS_EXAMPLES);
    expect(files.length).toBeGreaterThan(40);
    const codes = files.map((file) => {
      const { problems } = validateFlowText(readFileSync(join(OWS_EXAMPLES, file), 'utf8'));
      return `${file}: ${[...new Set(problems.map(({ code }) => code))].sort().join(' ')}`;
    });
    expect(codes.filter((line) => !/: (BLW_UNSUPPORTED)?$/.test(line))).toEqual([]);
    expect(codes.filter((line) => line.endsWith(': ')).length).toBeGreaterThan(6);
  });
});

describe("the specification's schema", () => {
  const acceptsDocument = (text: string): string[] => {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(ajv);
    const validate = ajv.compile(jsonOf(readFileSync(OWS_SCHEMA, 'utf8')) as object);
    return validate(jsonOf(text))
      ? []
      : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };

  ifThere(OWS_SCHEMA)('accepts a document with every kind of task', () => {
    expect(acceptsDocument(EVERYTHING)).toEqual([]);
  });

  ifThere(OWS_SCHEMA).each(FLOWS)('accepts examples/%s', (file) => {
    expect(acceptsDocument(readFileSync(join(EXAMPLES, file), 'utf8'))).toEqual([]);
  });

  ifThere(OWS_SCHEMA)('refuses what is no document', () => {
    expect(acceptsDocument('do: []')).not.toEqual([]);
  });
});

function jsonOf(text: string): Json {
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.document.value;
}
