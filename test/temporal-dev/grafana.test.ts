import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { wrongNames } from '../helpers/metric-list';
import { projectRoot } from '../helpers/project-root';
import { findPromtool, runPromtool } from '../helpers/promtool';

const ROOT = projectRoot();
const FOLDER = join(ROOT, 'temporal-dev', 'grafana');

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly {
    readonly expr: string;
    readonly refId: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(readFileSync(join(FOLDER, 'dashboards', 'beamline.json'), 'utf8')) as Dashboard;
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = [
  ...charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.flatMap(({ expr }) => expr ?? []),
];

/** As Grafana puts values in before it asks Prometheus. */
function filledIn(expression: string): string {
  return expression.replaceAll('$__rate_interval', '5m').replace(/\$(job|instance|block|tenant)\b/g, '.*');
}

test('is a dashboard of Grafana with panels that show something', () => {
  expect(dashboard).toMatchObject({ uid: 'beamline', title: 'Beamline Worker' });
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  expect(charts.length).toBeGreaterThan(50);
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  expect(new Set(charts.map(({ title }) => title)).size).toBe(charts.length);
  for (const { title, description, targets = [], datasource } of charts) {
    expect({ title, hasDescription: /\.$/.test(description ?? '') }).toEqual({ title, hasDescription: true });
    expect({ title, targets: targets.length > 0 }).toEqual({ title, targets: true });
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    for (const { uid } of [datasource ?? { uid: '' }, ...targets.map((target) => target.datasource)])
      expect(uid).toBe('${datasource}');
  }
});

test('no panel covers another, or leaves the grid', () => {
  const taken = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    expect({ title, fits: gridPos.x + gridPos.w <= 24 }).toEqual({ title, fits: true });
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect({ title, isTaken: taken.has(`${x}/${y}`) }).toEqual({ title, isTaken: false });
        taken.add(`${x}/${y}`);
      }
    }
  }
});

test('asks for metrics and labels that there are', () => {
  const variables = dashboard.templating.list.flatMap(({ definition }) =>
    definition === undefined ? [] : [/^label_values\((.*), \w+\)$/.exec(definition)?.[1] ?? ''],
  );
  expect(variables).toHaveLength(4);
  expect([...expressions, ...variables].flatMap((expression) => wrongNames(filledIn(expression)))).toEqual([]);
});

test('uses every variable that can be chosen, and no other', () => {
  const used = new Set(
    JSON.stringify(dashboard.panels)
      .match(/\$(?:[a-z]+|\{[a-z]+\})/g)
      ?.map((name) => name.replace(/\W/g, '')),
  );
  expect([...used].sort()).toEqual(dashboard.templating.list.map(({ name }) => name).sort());
});

const promtool = findPromtool();
(promtool === undefined ? test.skip : test)('every expression is PromQL (no promtool on PATH: skipped)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-promql-'));
  try {
    const file = join(folder, 'expressions.yml');
    const rules = expressions.map((expression, index) => ({
      record: `panel:number${index}`,
      expr: filledIn(expression),
    }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    const { status, output } = runPromtool(promtool ?? '', ['check', 'rules', file]);
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining(`${rules.length} rules found`) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('docs/operations.md names panels that there are', () => {
  const text = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
  const looks = [...text.matchAll(/^\*\*Look\.\*\*[\s\S]*?(?=^\*\*Do\.\*\*|^###)/gm)].map(([look]) => look);
  const named = looks.flatMap((look) => [...look.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title));
  expect(named.length).toBeGreaterThan(40);
  const titles = charts.map(({ title }) => title);
  expect(named.filter((title) => !titles.includes(title))).toEqual([]);
});

test('is found by what provisions it, and its data source too', () => {
  const read = (file: string): unknown => parse(readFileSync(join(FOLDER, 'provisioning', file), 'utf8'));
  expect(read('dashboards/beamline.yml')).toMatchObject({
    providers: [{ options: { path: '/etc/grafana/dashboards' } }],
  });
  expect(read('datasources/beamline.yml')).toMatchObject({
    datasources: [{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }, { type: 'jaeger' }],
  });
});
