import { PassThrough, type Readable } from 'node:stream';
import type { Client } from '@temporalio/client';
import type { Cli } from '../../src/cli/cli';
import { resolveAll } from '../../src/cli/dead-letter-bulk';
import { matchesFilter, visibilityQuery } from '../../src/cli/dead-letter-filter';
import type { FoundLetter } from '../../src/cli/dead-letter-list';
import { letterTable, printLetter } from '../../src/cli/dead-letter-view';
import { parseTime } from '../../src/cli/flow-filter';
import { createOutput } from '../../src/cli/output';
import type { ListedLetter } from '../../src/dsl/dead-letter';
import { CollectedText } from '../helpers/collected-text';

const NOW = Date.UTC(2026, 10, 28, 12);

const LETTER: ListedLetter = {
  id: '/do/1/pay[17]',
  step: '/do/1/pay',
  name: 'pay',
  iteration: '17',
  block: 'http.request',
  failedIn: 'run',
  error: { code: 'BLW_HTTP_STATUS', status: 400, detail: 'got status 400' },
  attempts: 3,
  retries: 0,
  startedAt: NOW - 65_000,
  failedAt: NOW - 60_000,
  input: { n: 1 },
  with: { method: 'post', body: { n: 1 } },
};

const FOUND = {
  flow: { id: "o'brien 7", runId: 'r', taskQueue: 'beamline-io' },
  tenant: 'acme',
  name: 'shop/order:1.0.0',
  letter: LETTER,
} satisfies FoundLetter;

describe('a time', () => {
  beforeEach(() => jest.useFakeTimers({ now: NOW }));
  afterEach(() => jest.useRealTimers());

  test.each<[string, number]>([
    ['30s', NOW - 30_000],
    ['45m', NOW - 45 * 60_000],
    ['2h', NOW - 7_200_000],
    ['1.5H', NOW - 5_400_000],
    ['7d', NOW - 7 * 86_400_000],
    ['1w', NOW - 7 * 86_400_000],
    ['PT2H', NOW - 7_200_000],
    ['p1d', NOW - 86_400_000],
    ['2026-11-28', Date.UTC(2026, 10, 28)],
    ['2026-11-28T08:30:00Z', Date.UTC(2026, 10, 28, 8, 30)],
    ['2026-11-28T08:30+02:00', Date.UTC(2026, 10, 28, 6, 30)],
  ])('%s is understood', (text, expected) => {
    expect(parseTime(text)).toBe(expected);
  });

  test.each(['', '2', 'h', '2 h', '-2h', '2y', 'P', 'PT', 'now', '2026', '2026-13-01', '28.11.2026', '1e3h'])(
    '"%s" is refused',
    (text) => {
      expect(() => parseTime(text)).toThrow('expected how long ago');
    },
  );
});

test('a filter says what it can to Temporal, without a way out of its quotes', () => {
  const base =
    "WorkflowType IN ('runFlow', 'runWindow') AND ExecutionStatus = 'Running' AND BeamlineStatus = 'DeadLettered'";
  expect(visibilityQuery({})).toBe(base);
  expect(visibilityQuery({ tenant: "a' OR '1' = '1", flow: 'shop/order' })).toBe(
    `${base} AND BeamlineTenant = 'a\\' OR \\'1\\' = \\'1' AND BeamlineFlow STARTS_WITH 'shop/order:'`,
  );
  expect(visibilityQuery({ flow: 'shop/order:1.0.0' })).toContain("BeamlineFlow = 'shop/order:1.0.0'");
});

test('a filter looks at block, code and time of each letter', () => {
  expect(matchesFilter({}, LETTER)).toBe(true);
  expect(matchesFilter({ block: 'http.request', code: 'BLW_HTTP_STATUS' }, LETTER)).toBe(true);
  expect(matchesFilter({ block: 'sql.query' }, LETTER)).toBe(false);
  expect(matchesFilter({ code: 'BLW_OTHER' }, LETTER)).toBe(false);
  expect(matchesFilter({ since: LETTER.failedAt, until: LETTER.failedAt }, LETTER)).toBe(true);
  expect(matchesFilter({ since: LETTER.failedAt + 1 }, LETTER)).toBe(false);
  expect(matchesFilter({ until: LETTER.failedAt - 1 }, LETTER)).toBe(false);
});

const outputOf = (text: CollectedText) => createOutput(text, { env: {}, onBroken: () => undefined });

test('a list says where no worker answers, and lets nobody draw on the terminal', () => {
  const { letter: _, ...silent } = FOUND;
  const evil = { ...FOUND, flow: { ...FOUND.flow, id: 'a\u001b[2Jb' } };
  const lines = letterTable([FOUND, silent, evil], NOW, outputOf(new CollectedText()).style);
  expect(lines[1]?.split(/ {2,}/)).toEqual([
    "o'brien 7",
    '/do/1/pay[17]',
    'http.request',
    'BLW_HTTP_STATUS',
    '3',
    '1 min 0 s',
    'shop/order:1.0.0',
    'acme',
  ]);
  expect(lines[2]).toContain('(no worker answers)');
  expect(lines.join()).not.toContain('\u001b');
});

describe('what to do next', () => {
  const parts = { beamline: 'beamline', connection: ' --address x:1', temporalConnection: ' --address x:1' };
  const nextOf = (found: Parameters<typeof printLetter>[0]) => {
    const text = new CollectedText();
    printLetter(found, { output: outputOf(text), now: NOW, parts });
    const lines = text.lines();
    return lines.slice(lines.indexOf('What to do next:') + 1).map((line) => line.trim());
  };

  test('is quoted for a shell', () => {
    const id = `'o'\\''brien 7' '/do/1/pay[17]'`;
    expect(nextOf(FOUND)).toEqual([
      `beamline dlq retry ${id} --address x:1`,
      `beamline dlq retry ${id} --with '{"body": CHANGED}' --address x:1`,
      '# Goes on without the step, with its input, as where its `if` says no:',
      `beamline dlq skip ${id} --address x:1`,
      '# Takes it for done, with this output (also for export.as), and undone where the flow fails later:',
      `beamline dlq skip ${id} --output CHANGED --address x:1`,
      `beamline dlq discard ${id} --address x:1`,
      `temporal workflow update execute --workflow-id 'o'\\''brien 7' --name resolve --input '{"id":"/do/1/pay[17]","action":"retry"}' --address x:1`,
    ]);
  });

  test('needs a token where the flow does, and no Temporal CLI alone', () => {
    const commands = nextOf({ ...FOUND, needsToken: true });
    expect(commands.filter((line) => !line.startsWith('#'))).toHaveLength(5);
    for (const command of commands.filter((line) => !line.startsWith('#')))
      expect(command).toContain(' --token-file token.jwt --seal-key seal-key.json');
  });

  test('of an approval is to ask again, or to discard', () => {
    const approval = { ...LETTER, block: 'human.approval', with: { title: 'Pay?' } };
    const commands = nextOf({ ...FOUND, letter: approval });
    expect(commands.map((command) => / (retry|skip|discard|update) /.exec(command)?.[1])).toEqual([
      'retry',
      'discard',
      'update',
    ]);
    const wrong = nextOf({ ...FOUND, letter: { ...approval, failedIn: 'input' } }).join();
    expect(wrong).toMatch(/^beamline dlq discard .*"action":"discard"/);
  });

  test('has nothing of the arguments in a correction, so that none goes out unchanged', () => {
    const commands = nextOf({ ...FOUND, letter: { ...LETTER, with: { body: 'Bearer ***' } } }).join();
    expect(commands).toContain(`--with '{"body": CHANGED}'`);
    expect(commands).not.toContain('***');
  });
});

describe('many at once', () => {
  const client = {} as Client;
  const { letter: _, ...silent } = FOUND;

  async function resolveWith(stdin: Readable, flags = {}) {
    const [out, err] = [new CollectedText(), new CollectedText()];
    const cli: Cli = {
      out: outputOf(out),
      err: outputOf(err),
      stdin,
      env: {},
      cwd: '/',
      onReaderGone: () => undefined,
    };
    const request = { letters: [silent], said: { action: 'retry' as const }, seal: undefined };
    const code = await resolveAll(client, request, { flags, cli });
    return { code, out: out.lines(), err: err.lines() };
  }

  const terminal = (answer: string) => Object.assign(new PassThrough().end(answer), { isTTY: true });

  test.each(['no\n', '\n', '', 'yesterday\n'])('does nothing where a person says %j', async (answer) => {
    const { code, out, err } = await resolveWith(terminal(answer));
    expect({ code, out }).toEqual({ code: 1, out: [] });
    expect(err.slice(-2)).toEqual(['retry 1 dead letter of 1 flow? Type "yes" to do it.', 'nothing was done']);
  });

  test.each(['yes\n', 'y\n', 'YES'])('goes on where a person says %j', async (answer) => {
    const { code, out, err } = await resolveWith(terminal(answer));
    expect({ code, out }).toEqual({ code: 1, out: ['retried 0 of 1 dead letter of 1 flow; 1 refused'] });
    expect(err.at(-1)).toMatch(/^refused: o'brien 7 .*no worker of beamline-io answers.*\[BLW_TEMPORAL_UNREACHABLE\]$/);
  });

  test('tells programs what was done, and asks nobody', async () => {
    const { code, out } = await resolveWith(new PassThrough(), { yes: true, json: true });
    expect({ code, json: JSON.parse(out.join()) }).toMatchObject({
      code: 1,
      json: {
        action: 'retry',
        resolved: [],
        refused: [{ workflowId: "o'brien 7", error: { code: 'BLW_TEMPORAL_UNREACHABLE' } }],
      },
    });
  });
});
