import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { flagsBeside } from '../../src/cli/heap-flags';

const ROOT = join(__dirname, '..', '..');

/** Packages that the command for workers loads before it has read its settings. */
function loadedPackages(): ReadonlySet<string> {
  const script = `
    require(${JSON.stringify(join(ROOT, 'dist', 'src', 'cli', 'commands', 'worker.js'))});
    console.log(JSON.stringify(Object.keys(require.cache)));
  `;
  const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  const files: readonly string[] = JSON.parse(stdout);
  return new Set(files.flatMap((file) => /.*node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(file)?.[1] ?? []));
}

describe('the memory of a worker', () => {
  it('is not spent on clients of what is not configured', () => {
    const loaded = loadedPackages();
    expect(loaded).toContain('@temporalio/worker');
    for (const name of ['@nats-io/jetstream', '@nats-io/transport-node', '@opentelemetry/sdk-node', 'jsonata'])
      expect(loaded).not.toContain(name);
  });

  it("holds the flows' code without the text of its sources, a byte a character", () => {
    const bundle = readFileSync(join(ROOT, 'dist', 'workflow-bundle.js'), 'utf8');
    expect(/[^\0-\x7f]/.exec(bundle)).toBeNull();
    const encoded = /\/\/# sourceMappingURL=data:application\/json;charset=utf-8;base64,(\S+)\s*$/.exec(bundle)?.[1];
    const map: { sources: string[]; sourcesContent?: unknown } = JSON.parse(
      Buffer.from(encoded ?? '', 'base64').toString(),
    );
    expect(map.sourcesContent).toBeUndefined();
    expect(map.sources.some((source) => source.endsWith('src/workflows/run-flow.ts'))).toBe(true);
  });

  it('is tuned but for what the command line or NODE_OPTIONS says', () => {
    expect(flagsBeside([])).toEqual(['--heap-growing-percent=50', '--max-semi-space-size=8', '--no-parallel-scavenge']);
    expect(flagsBeside(['--max_semi_space_size=32'])).toEqual(['--heap-growing-percent=50', '--no-parallel-scavenge']);
    expect(flagsBeside(['', '--heap-growing-percent 400 --max-semi-space-size=16 --parallel-scavenge'])).toEqual([]);
  });
});
