import { createOutput, type TextOutput } from '../../src/cli/output';
import { formatStep, ProgressPrinter } from '../../src/cli/progress-printer';
import type { FlowProgress, StepProgress } from '../../src/dsl/progress';
import { CollectedText } from '../helpers/collected-text';

const STEP: StepProgress = {
  seq: 1,
  id: '/do/0/getOrder',
  name: 'getOrder',
  block: 'http.request',
  pool: 'io',
  status: 'completed',
  attempts: 2,
  startedAt: 1_000,
  endedAt: 2_300,
};

const progress = (steps: StepProgress[], stepsEnded = steps.filter(({ endedAt }) => endedAt !== undefined).length) =>
  ({
    flow: 'a/b:1.0.0',
    tenant: 't',
    status: 'Running',
    startedAt: 0,
    stepsStarted: 9,
    stepsEnded,
    steps,
    version: 1,
  }) satisfies FlowProgress;

describe('ProgressPrinter', () => {
  let text: CollectedText;
  let output: TextOutput;
  beforeEach(() => {
    text = new CollectedText();
    output = createOutput(text, { env: {}, onBroken: () => undefined });
  });

  it('prints path, block, pool, attempts and duration of a step that has ended', () => {
    new ProgressPrinter(output).show(progress([STEP]));
    expect(text.lines()).toEqual([
      expect.stringMatching(/^✓ \/do\/0\/getOrder +http\.request +io +2 attempts +1\.3 s$/),
    ]);
  });

  it('says that an output is that of an earlier time', () => {
    new ProgressPrinter(output).show(progress([{ ...STEP, attempts: 1, cached: true }]));
    expect(text.lines()).toEqual([expect.stringMatching(/ http\.request +io +cached +1\.3 s$/)]);
  });

  it('prints each step once, however often it is told', () => {
    const printer = new ProgressPrinter(output);
    printer.show(progress([{ ...STEP, status: 'running', endedAt: undefined } as unknown as StepProgress]));
    expect(text.lines()).toEqual([]);
    printer.show(progress([STEP]));
    printer.show(progress([STEP]));
    expect(text.lines()).toHaveLength(1);
  });

  it('puts the iteration of a loop behind the path', () => {
    new ProgressPrinter(output).show(progress([{ ...STEP, iteration: '0.4' }]));
    expect(text.lines()[0]).toContain('/do/0/getOrder [0.4] ');
  });

  it('leaves out groups, whose steps are told, but not a group that was skipped', () => {
    const groups = ['do', 'for', 'fork', 'try'].map((block, index) => ({ ...STEP, seq: index + 1, block }));
    const printer = new ProgressPrinter(output);
    printer.show(progress(groups));
    expect(text.lines()).toEqual([]);
    printer.show(progress([{ ...STEP, seq: 9, block: 'try', status: 'skipped' }], 5));
    expect(text.lines()).toEqual([expect.stringMatching(/^- \/do\/0\/getOrder +try .*skipped$/)]);
  });

  it('says why a step failed, without control characters', () => {
    const error = { type: 'x', status: 500, detail: 'no \u001b[31manswer', code: 'BLW_HTTP_UNREACHABLE' };
    new ProgressPrinter(output).show(progress([{ ...STEP, status: 'failed', error }]));
    expect(text.lines()).toEqual([expect.stringMatching(/^✗ /), '    no \uFFFD[31manswer [BLW_HTTP_UNREACHABLE]']);
  });

  it('tells an approval that waits once, with the command that decides on it', () => {
    const waiting: StepProgress = { ...STEP, block: 'human.approval', status: 'awaitingApproval', approval: 'f-1/ask' };
    const { endedAt: _, ...open } = waiting;
    const printer = new ProgressPrinter(output, { approve: (id) => `beamline approvals approve ${id}` });
    printer.show(progress([open]));
    printer.show(progress([open]));
    expect(text.lines()).toEqual([
      expect.stringMatching(/^\? \/do\/0\/getOrder +human\.approval +awaits approval f-1\/ask$/),
      '    beamline approvals approve f-1/ask',
    ]);
    printer.show(progress([{ ...waiting, status: 'completed' }]));
    expect(text.lines()).toHaveLength(3);
  });

  it('tells a dead letter once for each time that it failed, with the command that shows it', () => {
    const { endedAt: _, ...open } = STEP;
    const error = { detail: 'got status 400', code: 'BLW_HTTP_STATUS' };
    const parked: StepProgress = { ...open, iteration: '3', status: 'deadLettered', error };
    const printer = new ProgressPrinter(output, { showLetter: (id) => `beamline dlq show f-1 ${id}` });
    printer.show(progress([parked]));
    // The flow has continued as new.
    printer.show(progress([{ ...parked, seq: 7 }]));
    const told = [
      expect.stringMatching(/^! \/do\/0\/getOrder \[3\] +http\.request +failed, and waits as a dead letter$/),
      '    got status 400 [BLW_HTTP_STATUS]',
      '    beamline dlq show f-1 /do/0/getOrder[3]',
    ];
    expect(text.lines()).toEqual(told);
    printer.show(progress([{ ...parked, status: 'running' }]));
    printer.show(progress([parked]));
    expect(text.lines()).toEqual([...told, ...told]);
  });

  it('says how many steps went by unseen, once', () => {
    const printer = new ProgressPrinter(output);
    printer.show(progress([STEP], 41));
    printer.show(progress([], 41));
    printer.show(progress([{ ...STEP, seq: 42 }], 42));
    expect(text.lines()).toEqual([expect.stringMatching(/^✓/), '  … and 40 more', expect.stringMatching(/^✓/)]);
  });
});

describe('formatStep', () => {
  const { style } = createOutput(new CollectedText(), { env: {}, onBroken: () => undefined });

  it.each([
    ['completed', '✓'],
    ['failed', '✗'],
    ['skipped', '-'],
    ['cancelled', '~'],
  ] as const)('marks a step that is %s with %s', (status, mark) => {
    expect(formatStep({ ...STEP, status }, style)).toMatch(new RegExp(`^${mark} `));
  });

  it('has no attempts for a task that is not an activity', () => {
    const { attempts: _, pool: __, ...task } = STEP;
    expect(formatStep({ ...task, block: 'set' }, style)).toMatch(/^✓ \/do\/0\/getOrder +set +1\.3 s$/);
  });
});
