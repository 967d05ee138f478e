/** `npm run chaos`: compiles the chaos suite (test/chaos) into dist/chaos and runs it; arguments are its own. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DIST, ROOT } from './build-inputs.mjs';

const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', join(ROOT, 'test', 'chaos')], {
  cwd: ROOT,
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);

const main = join(DIST, 'chaos', 'test', 'chaos', 'main.js');
const running = spawn(process.execPath, [main, ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' });
// The suite gets the signals of the terminal itself, and ends what it started.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => running.kill(signal));
running.on('exit', (code) => process.exit(code ?? 1));
