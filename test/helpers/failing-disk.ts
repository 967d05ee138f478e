import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of whose disk single operations fail, for processes that {@link FailingDisk.run} starts. */
export interface FailingDisk {
  /** What is below it fails as planned. */
  readonly folder: string;
  /** Runs a script, which gives JSON on its standard output. `fail(n, code)` in it plans that the nth operation from then on fails; `left()` is what is left of n. */
  run(script: string): unknown;
  remove(): void;
}

/** Compiles the library that is preloaded, from its source, which lies beside this file; false where that takes more than there is. */
export function compileFailingDisk(source: string, library: string): boolean {
  if (process.platform !== 'linux') return false;
  return spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']).status === 0;
}

/** Environment of a process of which operations below `folder` fail as the file `plan` says. */
export function failingDiskEnvironment(options: { library: string; folder: string; plan: string }): NodeJS.ProcessEnv {
  const { library, folder, plan } = options;
  return {
    LD_PRELOAD: library,
    FAILING_DISK: folder,
    FAILING_DISK_PLAN: plan,
    // Its writes would pass the library by.
    UV_USE_IO_URING: '0',
  };
}

/** Undefined where it cannot be made: it needs Linux and a C compiler. */
export function makeFailingDisk(): FailingDisk | undefined {
  const base = mkdtempSync(join(tmpdir(), 'beamline-disk-'));
  const library = join(base, 'failing-disk.so');
  if (!compileFailingDisk(join(__dirname, 'failing-disk.c'), library)) {
    rmSync(base, { recursive: true });
    return undefined;
  }
  const folder = join(base, 'disk');
  const plan = join(base, 'plan');
  return {
    folder,
    run(script) {
      const file = join(base, 'script.js');
      writeFileSync(plan, '0 0\n');
      writeFileSync(file, `${PRELUDE(plan)}\n(async () => {${script}\n})().then(tell, (error) => { throw error; });`);
      const env = { PATH: process.env.PATH, ...failingDiskEnvironment({ library, folder, plan }) };
      const { stdout, stderr, status } = spawnSync(process.execPath, [file], { encoding: 'utf8', env });
      if (status !== 0) throw new Error(`the script failed: ${stderr}`);
      return JSON.parse(stdout);
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

const PRELUDE = (plan: string): string => `
  const { readFileSync, writeFileSync } = require('node:fs');
  const { constants: { errno } } = require('node:os');
  const fail = (n, code) => writeFileSync(${JSON.stringify(plan)}, n + ' ' + (code === undefined ? 0 : errno[code]) + '\\n');
  const left = () => Number(readFileSync(${JSON.stringify(plan)}, 'utf8').split(' ')[0]);
  const tell = (value) => process.stdout.write(JSON.stringify(value));
`;
