import { DEAD_LETTER_PARKED, DEAD_LETTER_RESOLVED } from '../../src/dsl/dead-letter-event';
import { type FlowKind, NOTHING } from './flow-kind';
import type { SentMessage } from './messages';
import { type FaultRecord, type Outcome, printReport } from './report';
import { type Evidence, type Verified, verify } from './verify';

const KIND: FlowKind = { name: 'order', ends: 'COMPLETED', make: () => ({ args: [], expects: NOTHING }) };
const LETTER = 'default:f-1:/do/1/gate:0:1000';

/** A flow with one effect of each kind, and all that it leaves behind. */
const FLOW: Verified = {
  id: 'f-1',
  kind: KIND,
  verdict: 'ok',
  expects: {
    ...NOTHING,
    http: ['PUT /a'],
    sqlite: ['f-1/lite'],
    postgres: ['f-1/pg'],
    absent: ['f-1/undo'],
    emits: ['chaos.f-1'],
    parks: ['/do/1/gate'],
  },
  letters: new Map([['/do/1/gate 1000', { letter: '/do/1/gate', retries: 0, failureId: '1000' }]]),
};

const EVENT: SentMessage = { messageId: 'm-1', id: 'e-1', source: '/f-1', type: 'chaos.f-1' };
const PARKED: SentMessage = {
  messageId: 'm-2',
  id: LETTER,
  source: '/beamline/default/f-1',
  type: DEAD_LETTER_PARKED,
  workflowId: 'f-1',
  step: '/do/1/gate',
};
const RESOLVED: SentMessage = { ...PARKED, messageId: 'm-3', id: `${LETTER}:resolved`, type: DEAD_LETTER_RESOLVED };

const GOOD = {
  http: new Map([['PUT /a', 1]]),
  sqlite: new Map([['f-1/lite', 1]]),
  postgres: new Map([['f-1/pg', 1]]),
  messages: [EVENT, PARKED, RESOLVED],
} satisfies Evidence;

const STRUCK: FaultRecord = {
  name: 'worker killed',
  missing: undefined,
  strikes: [{ from: 1, to: 2, recoveredMs: 3 }],
  problems: [],
};

let printed: string[];
beforeEach(() => {
  printed = [];
  jest.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
  jest.spyOn(console, 'table').mockImplementation(() => undefined);
});
afterEach(() => jest.restoreAllMocks());

/** Exit code, last line and what was said before it. */
function report(evidence: Evidence, { flow = FLOW, ...more }: { flow?: Verified } & Partial<Outcome> = {}) {
  const flows = [{ ...flow, startedAt: 0, endedAt: 5 }] as unknown as Outcome['flows'];
  const code = printReport({
    seed: 1,
    records: [STRUCK],
    flows,
    hanging: [],
    verification: verify(evidence, [flow]),
    workers: [],
    pages: 1,
    problems: [],
    ...more,
  });
  return { code, last: JSON.parse(printed.at(-1) ?? '') as Record<string, unknown>, said: printed.join('\n') };
}

test('passes where everything is there once', () => {
  expect(report(GOOD)).toMatchObject({
    code: 0,
    last: { seed: 1, effects: 6, lost: 0, duplicated: 0, hanging: 0, faults: { 'worker killed': 1 } },
  });
});

test('passes without NATS', () => {
  expect(report({ ...GOOD, messages: undefined })).toMatchObject({ code: 0, last: { effects: 3, lost: 0 } });
});

const none = new Map<string, number>();
test.each<[string, Evidence, { lost?: number; duplicated?: number }, string]>([
  ['an effect of HTTP is lost', { ...GOOD, http: none }, { lost: 1 }, 'lost: HTTP PUT /a of order'],
  ['a row is lost', { ...GOOD, postgres: none }, { lost: 1 }, 'lost: PostgreSQL f-1/pg of order'],
  [
    'a row is there twice',
    { ...GOOD, sqlite: new Map([['f-1/lite', 2]]) },
    { duplicated: 1 },
    'duplicated: SQLite f-1/lite (2 times) of order',
  ],
  [
    'what must not be there is',
    { ...GOOD, sqlite: new Map([...GOOD.sqlite, ['f-1/undo', 1]]) },
    {},
    'strange: f-1/undo of order must not be there',
  ],
  ['an event was not published', { ...GOOD, messages: [PARKED, RESOLVED] }, { lost: 1 }, 'lost: NATS chaos.f-1'],
  [
    'an event was published twice',
    { ...GOOD, messages: [EVENT, { ...EVENT, messageId: 'm-9' }, PARKED, RESOLVED] },
    { duplicated: 1 },
    'duplicated: NATS chaos.f-1 (2 times)',
  ],
  [
    'a stream has a message id twice',
    { ...GOOD, messages: [...GOOD.messages, { ...EVENT, type: 'other' }] },
    { duplicated: 1 },
    'duplicated: NATS message m-1 (2 times)',
  ],
  ['a dead letter was not published', { ...GOOD, messages: [EVENT, RESOLVED] }, { lost: 1 }, `lost: NATS ${LETTER}`],
  [
    'its resolution was not published',
    { ...GOOD, messages: [EVENT, PARKED] },
    { lost: 1 },
    `lost: NATS ${LETTER}:resolved`,
  ],
  [
    'a dead letter was published that nobody expects',
    {
      ...GOOD,
      messages: [
        ...GOOD.messages,
        { ...PARKED, id: 'x', step: '/do/2/x' },
        { ...RESOLVED, id: 'x:resolved', step: '/do/2/x' },
      ].map((message, index) => ({ ...message, messageId: `n-${index}` })),
    },
    {},
    'strange: unexpected dead letter: f-1 /do/2/x (order)',
  ],
])('fails where %s', (_, evidence, { lost = 0, duplicated = 0 }, line) => {
  const { code, last, said } = report(evidence);
  expect(said).toContain(line);
  expect({ code, last }).toMatchObject({ code: 1, last: { lost, duplicated } });
});

const asFlows = (flow: Verified): Outcome['flows'] => [flow] as unknown as Outcome['flows'];
test.each<[string, { flow?: Verified } & Partial<Outcome>, string]>([
  ['a flow hangs', { hanging: asFlows(FLOW) }, 'hanging: f-1 (order)'],
  ['a flow ended otherwise', { flow: { ...FLOW, verdict: 'ended as FAILED' } }, 'wrong: f-1 (order): ended as FAILED'],
  ['no dead letter waited', { flow: { ...FLOW, letters: new Map() } }, 'no dead letter waited: f-1 /do/1/gate'],
  ['a worker crashed', { workers: [{ name: 'w', peakRssBytes: 0, crashes: ['it ended'] }] }, 'crash: it ended'],
  ['a command did what it should not', { problems: ['beamline run: exit code 7'] }, 'beamline run: exit code 7'],
  ['no fault was made', { records: [{ ...STRUCK, strikes: [] }] }, 'no fault was made'],
  ['only the load was there', { records: [{ ...STRUCK, isLoad: true }] }, 'no fault was made'],
  [
    'nothing recovered after a fault',
    { records: [{ ...STRUCK, strikes: [{ from: 1, to: 2 }] }] },
    'no recovery within the time after: worker killed',
  ],
])('fails where %s', (_, more, line) => {
  const { code, said } = report(GOOD, more);
  expect(said).toContain(line);
  expect(code).toBe(1);
});

test('fails where nothing ran', () => {
  const evidence = { http: none, sqlite: none, postgres: none, messages: undefined };
  const { code, last, said } = report(evidence, { flow: { ...FLOW, expects: NOTHING, letters: new Map() } });
  expect(said).toContain('nothing ran');
  expect({ code, last }).toMatchObject({ code: 1, last: { effects: 0 } });
});
