import { isDryRunReport, ReportWriter, type StepNotes } from '../../../src/dsl/dry-run/report';
import { jsonBytes } from '../../../src/dsl/encoded-json';
import type { StepProgress } from '../../../src/dsl/progress';

const step = (changes: Partial<StepProgress> = {}): StepProgress => ({
  seq: 1,
  id: '/do/0/a',
  name: 'a',
  block: 'fs.get',
  status: 'completed',
  startedAt: 0,
  endedAt: 1,
  ...changes,
});

/** A step with what is noted of it. */
function write(writer: ReportWriter, shown: StepProgress, notes: StepNotes): void {
  const entry = writer.begin(shown);
  if (entry !== undefined) writer.note(entry, notes);
}

describe('ReportWriter', () => {
  it('has of each step what is known of it when the report is wanted', () => {
    const writer = new ReportWriter();
    write(writer, step({ attempts: 2, iteration: '3' }), { input: { path: 'x' }, answer: 'generated' });
    expect(writer.state().steps).toEqual([
      {
        path: '/do/0/a',
        name: 'a',
        iteration: '3',
        block: 'fs.get',
        status: 'completed',
        attempts: 2,
        answer: 'generated',
        input: { path: 'x' },
      },
    ]);
  });

  it('says of a script that no mock answered that it ran', () => {
    const writer = new ReportWriter();
    for (const answer of ['generated', 'request'] as const) write(writer, step({ block: 'script.run' }), { answer });
    expect(writer.state().steps.map((entry) => entry.answer)).toEqual(['computed', 'request']);
  });

  it('says which case of a switch was taken, and that none was', () => {
    const writer = new ReportWriter();
    for (const taken of ['yes', null]) write(writer, step(), { case: taken });
    expect(writer.state().steps.map((entry) => entry.case)).toEqual(['yes', null]);
  });

  it('leaves out a value that is too large, and says so', () => {
    const writer = new ReportWriter();
    write(writer, step(), { input: 'x'.repeat(20_000), output: 'y' });
    expect(writer.state().steps).toMatchObject([{ output: 'y', cut: ['input'] }]);
  });

  it('keeps nothing of a value that has no room, and does not look at what may be shown of it', () => {
    const writer = new ReportWriter();
    const entry = writer.begin(step());
    const show = jest.fn((value) => value);
    if (entry !== undefined) writer.note(entry, { input: 'x'.repeat(20_000), output: 'y' }, show);
    expect(show.mock.calls).toEqual([['y']]);
    expect(entry?.notes).toEqual({ cut: ['input'], output: 'y' });
  });

  it('counts names and words, too', () => {
    const writer = new ReportWriter();
    const name = 'n'.repeat(5_000);
    for (let index = 0; index < 100; index += 1)
      write(writer, step({ name, id: `/do/0/${name}` }), { would: 'w'.repeat(5_000) });
    expect(jsonBytes(writer.state().steps)).toBeLessThan(262_144);
  });

  it('stays below the size from which payloads are kept in a store, and counts what has no room', () => {
    const writer = new ReportWriter();
    for (let index = 0; index < 2_000; index += 1) write(writer, step(), { output: 'x'.repeat(500) });
    const { steps, omitted } = writer.state();
    expect(jsonBytes(steps)).toBeLessThan(262_144);
    expect(steps.length + omitted).toBe(2_000);
    expect(omitted).toBeGreaterThan(0);
  });

  it('gives back the room of steps that begin again in a new history', () => {
    const writer = new ReportWriter();
    const before = writer.state().bytes;
    const running = { ...step({ status: 'running' }), endedAt: undefined } as unknown as StepProgress;
    write(writer, running, { input: 'x'.repeat(5_000), would: 'w' });
    expect(writer.state().bytes).toBeGreaterThan(5_000);
    expect(writer.state({ onlyEnded: true }).bytes).toBe(before);
  });

  it('goes on in a new history with the steps that have ended', () => {
    const writer = new ReportWriter();
    writer.begin(step());
    writer.begin({ ...step({ name: 'running', status: 'running' }), endedAt: undefined } as unknown as StepProgress);
    const next = new ReportWriter(writer.state({ onlyEnded: true }));
    next.begin(step({ name: 'running' }));
    expect(next.state().steps.map(({ name }) => name)).toEqual(['a', 'running']);
  });
});

describe('isDryRunReport', () => {
  it.each([null, 5, {}, { dryRun: true }, { dryRun: 'yes', steps: [] }])('is false for %j', (value) => {
    expect(isDryRunReport(value)).toBe(false);
  });
});
