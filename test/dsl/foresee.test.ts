import { Evaluator } from '../../src/dsl/expressions/evaluator';
import type { JsonObject } from '../../src/dsl/json';
import type { TaskPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { foresee } from '../../src/dsl/read-ahead/foresee';
import type { ListAhead, ReadAhead } from '../../src/dsl/read-ahead/read-ahead';
import { validateFlow } from '../../src/dsl/validation/validate-flow';
import { flowOf } from '../helpers/test-worker';

/** The tasks of a list, as they are planned. */
function tasksOf(text: string): readonly TaskPlan[] {
  const { flow, problems } = validateFlow(flowOf(text));
  if (flow === undefined) throw new Error(JSON.stringify(problems));
  return planFlow(flow).tasks;
}

const get = (
  name: string,
  more = '',
  metadata = 'dispatch: local',
  endpoint = "${ 'http://x.test/' + string(data) }",
) => `  - ${name}: { call: http, with: { method: get, endpoint: "${endpoint}" }, metadata: { ${metadata} }${more} }\n`;

const listOf = (tasks: readonly TaskPlan[], more: Partial<ListAhead> = {}): ListAhead => ({
  tasks,
  input: 0,
  variables: {},
  steps: {},
  iteration: '',
  ...more,
});

interface Foreseen {
  readonly step: string;
  readonly iteration: string;
  readonly endpoint: unknown;
}

/** What is read ahead where each answer is one more than the one before, from 1 on. */
function foreseen(text: string, more: Partial<ReadAhead> = {}): Foreseen[] {
  const evaluator = new Evaluator();
  const ahead: ReadAhead = {
    lists: [listOf(tasksOf(text))],
    constants: { workflow: { input: 7 } },
    context: { n: 5 },
    flowId: 'flow',
    attemptMs: 1_000,
    stepOutputs: true,
    ...more,
  };
  const reads = foresee(ahead, 1, { evaluate: (batch) => evaluator.evaluateBatch(batch), uuid: () => 'uuid' });
  const found: Foreseen[] = [];
  let output = 1;
  for (let next = reads.next(); next.done !== true; ) {
    const { task, iteration, with: args } = next.value;
    found.push({ step: task.name, iteration, endpoint: (args.endpoint as JsonObject).uri });
    output += 1;
    next = reads.next(output);
  }
  return found;
}

const namesOf = (text: string, more: Partial<ReadAhead> = {}) => foreseen(text, more).map(({ step }) => step);

describe('what is foreseen after a step', () => {
  it('has the arguments that the answers before it give', () => {
    expect(foreseen(`do:\n${get('a')}${get('b')}${get('c', ", input: { from: '${ data * 10 }' }")}`)).toEqual([
      { step: 'b', iteration: '', endpoint: 'http://x.test/1' },
      { step: 'c', iteration: '', endpoint: 'http://x.test/20' },
    ]);
  });

  it('sees what is exported, the outputs of steps, and what the flow was given', () => {
    const text = `do:
${get('a', ", output: { as: '${ data + 100 }' }, export: { as: '${ {\"n\": data} }' }")}
  - s: { set: '\${ context.n + steps.a.output + workflow.input }' }
${get('b')}`;
    expect(foreseen(text)).toEqual([{ step: 'b', iteration: '', endpoint: 'http://x.test/209' }]);
  });

  it.each<[string, string]>([
    ['a wait', '  - w: { wait: PT1S }\n'],
    ['an effect', "  - p: { call: http, with: { method: post, endpoint: 'http://x.test/' } }\n"],
    ['a step that stays in its queue', get('q', '', 'dispatch: queue')],
    ['a step of which nothing is said and that has one attempt', get('o', '', 'retry: { maximumAttempts: 1 }')],
    ['a person', '  - h: { call: human.approval, with: { title: Sure? } }\n'],
    ['branches', `  - f: { fork: { branches: [{ x: { set: 1 } }] } }\n`.replace('set: 1', "set: '${ 1 }'")],
    ['an error', '  - r: { raise: { error: { type: x, status: 400 } } }\n'],
    ['an expression that fails', "  - s: { set: '${ data.nothing }' }\n"],
    ['when a task started', "  - s: { set: '${ task.startedAt.iso8601 }' }\n"],
    ['whether a task has started', "  - s: { if: '${ has(task.startedAt) }', set: '${ 1 }' }\n"],
    ['an error that hides when it started', "  - s: { set: '${ task.startedAt.epoch.seconds > 0 || true }' }\n"],
    [
      'a loop without an end to see',
      "  - l: { for: { in: '[1,2,3,4,5,6,7,8,9,10]' }, do: [{ l2: { for: { in: '[1,2,3,4,5,6,7,8,9,10]' }, do: [{ l3: { for: { in: '[1,2,3,4,5,6,7,8,9,10]' }, do: [{ s: { set: '${ 1 }' } }] } }] } }] }\n",
    ],
    ['the check of an input', get('i', ', input: { schema: { document: { type: number } } }')],
  ])('ends before %s', (_, task) => {
    expect(namesOf(`do:\n${get('a')}${get('b')}${task}${get('c')}`)).toEqual(['b']);
  });

  it.each<[string, string]>([
    ['an output', 'output'],
    ['an export', 'export'],
  ])('ends after a step with the check of %s', (_, field) => {
    const checked = get('b', `, ${field}: { schema: { document: { type: object } } }`);
    expect(namesOf(`do:\n${get('a')}${checked}${get('c')}`)).toEqual(['b']);
  });

  it('knows what a task is given, before it runs', () => {
    const text = `do:\n${get('a')}${get('b', ", if: '${ task.input == 1 }'")}`;
    expect(namesOf(text)).toEqual(['b']);
    expect(namesOf(`do:\n${get('a', ", output: { as: '${ task.input }' }")}${get('b')}`)).toEqual([]);
  });

  it('follows directives forward, and ends where one goes back or ends the flow', () => {
    expect(namesOf(`do:\n${get('a', ', then: c')}${get('b')}${get('c', ', then: exit')}${get('d')}`)).toEqual(['c']);
    expect(namesOf(`do:\n${get('a')}${get('b', ', then: a')}${get('c')}`)).toEqual(['b']);
    expect(namesOf(`do:\n${get('a', ', then: end')}${get('b')}`)).toEqual([]);
  });

  it('goes on with the loop that the step is in, and after it', () => {
    const tasks = tasksOf(
      `do:
  - all:
      for: { each: item, in: workflow.input }
      while: data < 5
      do:
      ${get('a').trimStart()}
${get('last')}`.replace(/^ {6} {2}- a/m, '        - a'),
    );
    const [loop] = tasks;
    if (loop?.kind !== 'for') throw new Error('expected a loop');
    const lists = [
      listOf(loop.tasks, { iteration: '0', variables: { item: 10, index: 0 } }),
      listOf(tasks, { loop: { items: [11, 12, 13], from: 1 } }),
    ];
    expect(foreseen('do: [{ x: { set: { a: 1 } } }]', { lists })).toEqual([
      { step: 'a', iteration: '1', endpoint: 'http://x.test/1' },
      { step: 'a', iteration: '2', endpoint: 'http://x.test/2' },
      { step: 'a', iteration: '3', endpoint: 'http://x.test/3' },
      { step: 'last', iteration: '', endpoint: 'http://x.test/4' },
    ]);
  });

  it('ends where the rest was not told', () => {
    const tasks = tasksOf(`do:\n${get('a')}${get('b')}`);
    const lists = [listOf(tasks, { isCut: true }), listOf(tasks)];
    expect(namesOf('do: [{ x: { set: { a: 1 } } }]', { lists })).toEqual(['b']);
  });

  it('has placeholders for secrets', () => {
    const secret = "${ 'http://x.test/' + secrets.token }";
    const text = `use: { secrets: [token] }\ndo:\n${get('a')}${get('b', '', 'dispatch: local', secret)}`;
    expect(foreseen(text)).toEqual([
      {
        step: 'b',
        iteration: '',
        endpoint: expect.stringMatching(/^http:\/\/x\.test\/blw-secret-uuid-0-$/) as unknown,
      },
    ]);
  });

  it('throws what is no error of a flow', () => {
    const tools = {
      evaluate: (): never => {
        throw new TypeError('a defect');
      },
      uuid: () => '',
    };
    const lists = [listOf(tasksOf(`do:\n${get('a')}${get('b')}`))];
    const ahead: ReadAhead = { lists, constants: {}, context: null, flowId: 'f', attemptMs: 1, stepOutputs: [] };
    expect(() => foresee(ahead, 1, tools).next()).toThrow('a defect');
  });
});
