import { parse } from 'yaml';
import { runToMermaid } from '../../src/dsl/graph/mermaid';
import { LOOKS } from '../../src/dsl/graph/mermaid-classes';
import type { ObservedRun } from '../../src/dsl/graph/run-graph';
import type { JsonObject } from '../../src/dsl/json';
import type { FlowPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import type { FlowProgress, StepProgress } from '../../src/dsl/progress';
import { type ValidFlow, validateFlow } from '../../src/dsl/validation/validate-flow';
import { type ParsedMermaid, parseMermaid, unescapeLabel } from './mermaid-grammar';

function planOf(tasks: string): FlowPlan {
  const { problems, flow } = validateFlow({
    document: { dsl: '1.0.3', namespace: 'test', name: 'flow', version: '1.0.0', title: 'T' },
    evaluate: { language: 'cel' },
    do: parse(tasks) as JsonObject[],
  });
  expect(problems).toEqual([]);
  return planFlow(flow as ValidFlow);
}

type Execution = Partial<StepProgress> & { readonly id: string };

interface Drawn extends ParsedMermaid {
  readonly text: string;
  /** Lines of the label of a node, by its first line. */
  label(first: string): string[];
  /** Class of the node with that first line. */
  classOf(first: string): string | undefined;
}

/** Draws a run of a flow at 10 s, which began at 0. Steps last 2 s unless they say otherwise. */
function drawn(
  tasks: string,
  executions: readonly Execution[],
  run: Partial<ObservedRun> = {},
  progress: Partial<FlowProgress> = {},
): Drawn {
  const steps = executions.map((execution, index): StepProgress => {
    const status = execution.status ?? 'completed';
    const isOpen = ['running', 'awaitingApproval', 'listening', 'deadLettered'].includes(status);
    const name = execution.id.split('/').at(-1) ?? '';
    const startedAt = execution.startedAt ?? 1_000;
    return {
      seq: index + 1,
      name,
      block: 'set',
      status,
      startedAt,
      ...(isOpen ? {} : { endedAt: startedAt + 2_000 }),
      ...execution,
    };
  });
  const text = runToMermaid(planOf(tasks), {
    workflowId: 'order-7',
    runId: 'run-1',
    status: 'Running',
    until: 10_000,
    ...run,
    progress: {
      flow: 'test/flow:1.0.0',
      tenant: 'default',
      status: 'Running',
      startedAt: 0,
      stepsStarted: steps.length,
      stepsEnded: 0,
      steps,
      version: 1,
      ...progress,
    },
  });
  const parsed = parseMermaid(text);
  const labels = [...text.matchAll(/^ +(\w+)[^\w\s]+"([^"]*)"/gmu)].map(([, id = '', label = '']) => ({
    id,
    lines: label.split('<br/>').map(unescapeLabel),
  }));
  const find = (first: string) => labels.find(({ lines }) => lines[0] === first);
  return {
    ...parsed,
    text,
    label: (first) => find(first)?.lines.slice(1) ?? [],
    classOf: (first) => parsed.classes.get(find(first)?.id ?? ''),
  };
}

const ONE = '[{ a: { set: { x: 1 } } }]';
const ERROR = { type: 'https://example.com/errors/odd', status: 400, code: 'BLW_HTTP_STATUS', detail: 'tulip' };

describe('runToMermaid', () => {
  it.each<[string, Execution[], string[], string]>([
    ['completed', [{ id: '/do/0/a' }], ['completed', '2.0 s'], 'completed'],
    ['running', [{ id: '/do/0/a', status: 'running' }], ['running', '9.0 s'], 'running'],
    [
      'waiting for a person',
      [{ id: '/do/0/a', status: 'awaitingApproval' }],
      ['awaiting approval', '9.0 s'],
      'waiting',
    ],
    ['listening', [{ id: '/do/0/a', status: 'listening' }], ['listening', '9.0 s'], 'waiting'],
    [
      'waiting as a dead letter, with its code',
      [{ id: '/do/0/a', status: 'deadLettered', error: ERROR }],
      ['dead letter BLW_HTTP_STATUS', '9.0 s'],
      'failed',
    ],
    ['skipped', [{ id: '/do/0/a', status: 'skipped' }], ['skipped'], 'skipped'],
    ['cancelled', [{ id: '/do/0/a', status: 'cancelled' }], ['cancelled', '2.0 s'], 'cancelled'],
    ['not reached', [], ['not reached'], 'notReached'],
    [
      'failed, with its code and attempts',
      [{ id: '/do/0/a', status: 'failed', attempts: 3, error: ERROR }],
      ['failed BLW_HTTP_STATUS', '3 attempts, 2.0 s'],
      'failed',
    ],
    [
      'failed with an error of its own',
      [{ id: '/do/0/a', status: 'failed', error: { type: ERROR.type, status: 400 } }],
      ['failed odd', '2.0 s'],
      'failed',
    ],
    ['cached', [{ id: '/do/0/a', cached: true, attempts: 1 }], ['completed', 'cached, 2.0 s'], 'completed'],
    [
      'completed the second time',
      [
        { id: '/do/0/a', status: 'failed', error: ERROR },
        { id: '/do/0/a', iteration: '~1' },
      ],
      ['completed', '2 runs, 2.0 s'],
      'completed',
    ],
  ])('says that a step is %s', (_, executions, lines, name) => {
    const { label, classOf, text } = drawn(ONE, executions);
    expect(label('a')).toEqual(['set', ...lines]);
    expect(classOf('a')).toBe(name);
    expect(text).not.toContain('tulip');
  });

  it('counts the iterations of a loop', () => {
    const id = '/do/0/l/do/0/a';
    const iterations: Execution[] = [
      { id: '/do/0/l', block: 'for', status: 'running' },
      { id, iteration: '0', attempts: 2 },
      { id, iteration: '1', status: 'failed', error: ERROR },
      { id, iteration: '1', startedAt: 4_000, endedAt: 8_000 },
      { id, iteration: '2', status: 'failed', error: ERROR },
      { id, iteration: '3', status: 'skipped' },
      { id, iteration: '4', status: 'running' },
    ];
    const { label, classOf } = drawn('[{ l: { for: { in: data.l }, do: [{ a: { set: { x: 1 } } }] } }]', iterations);
    expect(label('a')).toEqual([
      'set',
      '1 running, 1 failed, 2 done, 1 skipped',
      'BLW_HTTP_STATUS',
      '6 runs, up to 2 attempts, 2.6 s on average',
    ]);
    expect(classOf('a')).toBe('running');
    expect(label('item in data.l')).toEqual(['running', '9.0 s']);
  });

  it('names two codes of a loop and counts the others', () => {
    const id = '/do/0/l/do/0/a';
    const failed = ['A', 'B', 'C', 'A'].map((code, index): Execution => {
      return { id, iteration: String(index), status: 'failed', error: { ...ERROR, code } };
    });
    const { label } = drawn('[{ l: { for: { in: data.l }, do: [{ a: { set: { x: 1 } } }] } }]', failed);
    expect(label('a').slice(1, 3)).toEqual(['4 failed', 'A, B, and 1 more']);
  });

  it('puts the status of a group into its frame', () => {
    const { text, classes } = drawn('[{ g: { do: [{ a: { set: { x: 1 } } }] } }]', [
      { id: '/do/0/g', block: 'do', status: 'failed', error: ERROR },
    ]);
    expect(unescapeLabel(text)).toContain('["do g – failed BLW_HTTP_STATUS, 2.0 s"]');
    expect(classes.get('g2')).toBe('failedGroup');
  });

  it('counts batches, and does not call the steps in them not reached', () => {
    const { label, classOf } = drawn(
      '[{ l: { for: { in: data.l }, metadata: { batchSize: 2 }, do: [{ a: { set: { x: 1 } } }] } }]',
      [
        { id: '/do/0/l', block: 'for', status: 'running' },
        { id: '/do/0/l', block: 'window', iteration: '0-1' },
        { id: '/do/0/l', block: 'window', iteration: '2-3', status: 'running' },
      ],
    );
    expect(label('item in data.l').slice(-3)).toEqual(['running', '9.0 s', 'batches: 1 running, 1 done']);
    expect(label('a')).toEqual(['set', 'runs in batches']);
    expect(classOf('a')).toBe('unknown');
  });

  it('says where it knows a part only', () => {
    const { label, classOf, nodes } = drawn(
      `${ONE.slice(0, -1)}, { b: { set: { x: 1 } } }]`,
      [{ id: '/do/1/b' }],
      {},
      {
        stepsStarted: 4_000,
      },
    );
    expect(label('a')).toEqual(['set', 'no record']);
    expect(classOf('a')).toBe('unknown');
    expect(nodes).toContain('legend');
    expect(label('Partial picture')).toEqual([
      'it counts the newest 1 of 4000 executions',
      'steps with no record may have run before',
    ]);
  });

  it.each<[Partial<ObservedRun>, Partial<FlowProgress>, string, string, string[]]>([
    [{ status: 'Running' }, {}, 'running, 10.0 s', 'running', ['running', '9.0 s']],
    [
      { status: 'Running' },
      { status: 'AwaitingApproval' },
      'awaiting approval, 10.0 s',
      'running',
      ['running', '9.0 s'],
    ],
    [{ status: 'Running' }, { status: 'Compensating' }, 'undoing its steps, 10.0 s', 'running', ['running', '9.0 s']],
    [{ status: 'Completed' }, {}, 'completed, 10.0 s', 'completed', ['completed', '9.0 s']],
    [{ status: 'Failed', code: 'BLW_X' }, {}, 'failed BLW_X, 10.0 s', 'failed', ['was running', '9.0 s']],
    [{ status: 'Cancelled' }, {}, 'cancelled, 10.0 s', 'cancelled', ['was running', '9.0 s']],
    [{ status: 'Terminated' }, {}, 'terminated, 10.0 s', 'failed', ['was running', '9.0 s']],
    [{ status: 'TimedOut' }, {}, 'timed out, 10.0 s', 'failed', ['was running', '9.0 s']],
    [{ status: 'ContinuedAsNew' }, {}, 'goes on in a new run, 10.0 s', 'running', ['was running', '9.0 s']],
  ])('says of a run that is %j %j what became of it and of a step', (run, progress, line, name, step) => {
    const { label, classes } = drawn(ONE, [{ id: '/do/0/a', status: 'running' }], run, progress);
    expect(label('T')).toEqual([line]);
    expect(classes.get('begin')).toBe(name);
    expect(label('a')).toEqual(['set', ...step]);
    expect(classes.get('finish')).toBe(run.status === 'Completed' ? 'completed' : undefined);
  });

  it('names the run and the workflows of its steps in comments', () => {
    const { text } = drawn(
      ONE,
      [{ id: '/do/0/a', iteration: '2', status: 'awaitingApproval', approval: 'order-7/a/2' }],
      {
        workflowId: 'order\n%%{init: {}}%%',
      },
    );
    expect(text).toContain('  %% workflow orderinit: \n  %% run run-1\n  %% /do/0/a 2 runs order-7/a/2\n');
  });

  it('escapes what a flow may have put into a code', () => {
    const code = '"] --> <script>';
    const { label } = drawn(ONE, [{ id: '/do/0/a', status: 'failed', error: { ...ERROR, code } }]);
    expect(label('a')[1]).toBe(`failed ${code}`);
  });

  it('draws the same for the same run, and only the classes that it uses', () => {
    const [first, second] = [0, 1].map(() => drawn(ONE, [{ id: '/do/0/a' }]).text);
    expect(first).toBe(second);
    expect(first?.match(/classDef \w+/g)).toEqual(['classDef running', 'classDef completed']);
  });
});

describe('the colours', () => {
  /** WCAG 2.2, "contrast ratio". */
  function contrast(one: string, other: string): number {
    const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  function luminance(colour: string): number {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  it.each(Object.entries(LOOKS))('of %s can be read in light and dark themes', (_, { fill, text, line }) => {
    expect(fill === undefined).toBe(text === undefined);
    if (fill !== undefined && text !== undefined) expect(contrast(fill, text)).toBeGreaterThanOrEqual(4.5);
    for (const page of ['#ffffff', '#0d1117']) expect(contrast(line, page)).toBeGreaterThanOrEqual(3);
  });
});
