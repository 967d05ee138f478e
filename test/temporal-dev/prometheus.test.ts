import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { INSTALLATION_METRICS } from '../../src/worker/telemetry/installation-table';
import { WORKER_METRICS } from '../../src/worker/telemetry/metric-table';
import { listedMetrics, wrongNames } from '../helpers/metric-list';
import { projectRoot } from '../helpers/project-root';
import { findPromtool, runPromtool } from '../helpers/promtool';

const FOLDER = join(projectRoot(), 'temporal-dev', 'prometheus');

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface TestFile {
  readonly group_eval_order: readonly string[];
  readonly tests: readonly {
    readonly name: string;
    readonly input_series: readonly { readonly series: string }[];
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
  }[];
}

const recording = readYaml<RuleFile>('recording-rules.yml');
const alerting = readYaml<RuleFile>('alert-rules.yml');
const ruleTests = readYaml<TestFile>('alert-rules.test.yml');
const recorded = recording.groups.flatMap(({ rules }) => rules.map(({ record = '' }) => record));
const alerts = alerting.groups.flatMap(({ rules }) => rules);

function readYaml<T>(file: string): T {
  return parse(readFileSync(join(FOLDER, file), 'utf8')) as T;
}

const promtool = findPromtool();
const withPromtool = promtool === undefined ? describe.skip : describe;

/** The expressions that docs/metrics.md proposes. */
const proposed = (
  /^```promql\n([\s\S]*?)^```$/m.exec(readFileSync(join(projectRoot(), 'docs', 'metrics.md'), 'utf8'))?.[1] ?? ''
)
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

withPromtool('promtool (none on PATH: skipped)', () => {
  const run = (...args: string[]) => runPromtool(promtool ?? '', args);

  test('takes the rules', () => {
    const files = ['recording-rules.yml', 'alert-rules.yml'].map((file) => join(FOLDER, file));
    expect(run('check', 'rules', ...files)).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });

  test('takes the configuration', () => {
    const file = join(FOLDER, 'prometheus.yml');
    expect(run('check', 'config', file)).toEqual({ status: 0, output: expect.stringContaining('is valid') });
  });

  test('takes the expressions that docs/metrics.md proposes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'beamline-promql-'));
    try {
      const rules = proposed.map((expr, index) => ({ record: `proposed:number${index}`, expr }));
      const file = join(folder, 'rules.yml');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'proposed', rules }] }));
      const { status, output } = run('check', 'rules', file);
      expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining(`${rules.length} rules found`) });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('finds that every alert fires when it should, and only then', () => {
    const { status, output } = run('test', 'rules', join(FOLDER, 'alert-rules.test.yml'));
    expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
  });
});

test.each(alerts.map((alert) => [alert.alert ?? '', alert] as const))('%s can be acted upon', (name, alert) => {
  expect(name).toMatch(/^Beamline[A-Z]\w+$/);
  expect(['critical', 'warning', 'info']).toContain(alert.labels?.severity);
  expect(alert.annotations?.summary).toMatch(/\S/);
  expect(alert.annotations?.description).toMatch(/\.$/);
  expect(alert.annotations?.runbook_url).toBe(`docs/operations.md#${name.toLowerCase()}`);
});

test('docs/operations.md says of every alert, and of no other, what it means, where to look and what to do', () => {
  const text = readFileSync(join(projectRoot(), 'docs', 'operations.md'), 'utf8');
  const sections = [...text.matchAll(/^### (Beamline\w+)\n([\s\S]*?)(?=^##)/gm)];
  expect(sections.map(([, name]) => name)).toEqual(alerts.map(({ alert }) => alert));
  const thin = sections.filter(
    ([section, name]) =>
      !['Means', 'Look', ...(name === 'BeamlineDegraded' ? [] : ['Do'])].every((word) =>
        section.includes(`**${word}.**`),
      ),
  );
  expect(thin.map(([, name]) => name)).toEqual([]);
});

test('every alert has a test in which it fires and one in which it does not', () => {
  const cases = ruleTests.tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  const untested = alerts.filter(({ alert }) => {
    const own = cases.filter(({ alertname }) => alertname === alert);
    return (
      !own.some(({ exp_alerts }) => exp_alerts.length > 0) || !own.some(({ exp_alerts }) => exp_alerts.length === 0)
    );
  });
  expect(untested.map(({ alert }) => alert)).toEqual([]);
});

test('the tests evaluate all groups in their order, those that record first', () => {
  const groups = [...recording.groups, ...alerting.groups].map(({ name }) => name);
  expect(ruleTests.group_eval_order).toEqual(groups);
});

test('rules ask for metrics and labels that there are', () => {
  const rules = [...recording.groups, ...alerting.groups].flatMap(({ rules }) => rules);
  expect(rules.flatMap(({ expr }) => wrongNames(expr, recorded))).toEqual([]);
});

test('docs/metrics.md proposes to ask for metrics and labels that there are', () => {
  expect(proposed.length).toBeGreaterThan(10);
  expect(proposed.flatMap((expr) => wrongNames(expr))).toEqual([]);
});

test('the metrics that the documentation lists are those of the code', () => {
  const listed = listedMetrics();
  const differing = Object.entries({ ...WORKER_METRICS, ...INSTALLATION_METRICS }).filter(
    ([name, { type, labels }]) => {
      const metric = listed.get(name);
      return metric?.type !== type || String(metric.labels) !== String(Object.keys(labels));
    },
  );
  expect(differing.map(([name]) => name)).toEqual([]);
});

test('the series of their tests are such as workers have', () => {
  const series = ruleTests.tests.flatMap(({ input_series }) => input_series.map((input) => input.series));
  expect(series.length).toBeGreaterThan(100);
  expect(series.flatMap((selector) => wrongNames(selector))).toEqual([]);
});

test('a name that is misspelt is found', () => {
  expect(wrongNames('sum by (pool) (rate(worker_task_total{type="x"}[5m])) > 3')).toEqual([
    'no metric worker_task_total',
  ]);
  expect(wrongNames('worker_pool_slots{pool="io",status="free"} == 0')).toEqual([
    'worker_pool_slots has no label status',
  ]);
  expect(wrongNames('histogram_quantile(0.9, sum by (le) (rate(worker_task_latency_ms[5m])))')).toEqual([
    'no metric worker_task_latency_ms',
  ]);
});
