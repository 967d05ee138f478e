/** `npm run attacks`: compiles the attack tables (test/attacks) into dist/attacks and runs them; arguments name areas. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DIST, ROOT } from './build-inputs.mjs';

run(join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(ROOT, 'test', 'attacks'));
run(join(DIST, 'attacks', 'test', 'attacks', 'main.js'), ...process.argv.slice(2));

function run(script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
