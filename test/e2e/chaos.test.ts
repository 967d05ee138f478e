import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findPostgresBinaries } from '../helpers/postgres';

const SCRIPT = join(__dirname, '..', '..', 'scripts', 'chaos.mjs');

function chaos(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', timeout: 400_000 });
}

const hasPostgres = findPostgresBinaries() !== undefined;
const named = hasPostgres ? '' : ' (skipped: no PostgreSQL here)';

/** A short run of the suite; longer ones by hand (docs/guarantees.md). */
(hasPostgres ? test : test.skip)(
  `nothing is lost, made twice or left hanging while everything fails${named}`,
  () => {
    const { status, stdout, stderr } = chaos('--seed', '6', '--seconds', '40');
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    const summary = JSON.parse(last) as { effects: number; faults: Record<string, number> };
    expect({ status, stderr, stdout: status === 0 ? '' : stdout }).toEqual({ status: 0, stderr: '', stdout: '' });
    expect(summary).toMatchObject({ seed: 6, lost: 0, duplicated: 0, hanging: 0 });
    expect(summary.effects).toBeGreaterThan(50);
    // Five of them belong to the load.
    expect(Object.values(summary.faults).filter((count) => count > 0).length).toBeGreaterThan(7);
  },
  420_000,
);

test.each([
  [['--seconds', '5'], 'expected at least 10'],
  [['--seed', 'x'], '--seed: got "x", expected a whole number'],
  [['--plant', 'x'], '--plant: got "x", expected one of: duplicate, loss, message'],
  [['--only', 'no such fault'], 'expected a part of one of'],
  [['--frobnicate'], '--frobnicate'],
])(
  '%j is bad usage',
  (args, message) => {
    const { status, stderr } = chaos(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  },
  60_000,
);
