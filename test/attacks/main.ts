/**
 * `npm run attacks`: tries all inputs of the attack tables and prints how many of each kind were blocked, and how many harmless
 * ones beside them were allowed. Areas may be named: `npm run attacks -- HTTP blobs`. Exit code 1 where an attack got through or a
 * harmless input did not.
 */
import type { RunnableSuite } from './attack';
import { SUITES } from './suites';

interface Row {
  readonly area: string;
  readonly kind: string;
  attacks: number;
  blocked: number;
  controls: number;
  allowed: number;
}

const HEADINGS = ['area', 'kind', 'inputs', 'blocked', 'harmless', 'allowed'];

async function runSuite(suite: RunnableSuite, report: (line: string) => void): Promise<Row[]> {
  const rows = new Map<string, Row>();
  const running = await suite.start();
  try {
    for (const [index, { kind, name, isControl = false }] of suite.cases.entries()) {
      const row = rows.get(kind) ?? { area: suite.area, kind, attacks: 0, blocked: 0, controls: 0, allowed: 0 };
      rows.set(kind, row);
      const problem = await running.attempt(index);
      const isFine = problem === undefined;
      if (isControl) {
        row.controls += 1;
        row.allowed += Number(isFine);
      } else {
        row.attacks += 1;
        row.blocked += Number(isFine);
      }
      if (!isFine) report(`${isControl ? 'REFUSED' : 'THROUGH'} ${suite.area}, ${kind}: ${name}: ${problem}`);
    }
  } finally {
    await running.close();
  }
  return [...rows.values()];
}

function cellsOf({ area, kind, attacks, blocked, controls, allowed }: Row): string[] {
  return [area, kind, ...[attacks, blocked, controls, allowed].map(String)];
}

function totalOf(rows: readonly Row[]): Row {
  const sum = (key: 'attacks' | 'blocked' | 'controls' | 'allowed') => rows.reduce((total, row) => total + row[key], 0);
  return {
    area: 'all',
    kind: '',
    attacks: sum('attacks'),
    blocked: sum('blocked'),
    controls: sum('controls'),
    allowed: sum('allowed'),
  };
}

function printTable(rows: readonly string[][]): void {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
}

async function main(areas: readonly string[]): Promise<number> {
  const unknown = areas.find((area) => !SUITES.some((suite) => suite.area === area));
  if (unknown !== undefined) {
    console.error(`attacks: got the area "${unknown}", expected ${SUITES.map(({ area }) => area).join(', ')}`);
    return 2;
  }
  const rows: Row[] = [];
  for (const suite of SUITES.filter(({ area }) => areas.length === 0 || areas.includes(area))) {
    if (suite.skipped === undefined) rows.push(...(await runSuite(suite, (line) => console.log(line))));
    else console.log(`SKIPPED ${suite.area}: ${suite.skipped}`);
  }
  const total = totalOf(rows);
  printTable([HEADINGS, ...[...rows, total].map(cellsOf)]);
  return total.attacks === total.blocked && total.controls === total.allowed ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
