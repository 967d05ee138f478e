import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project-root';

const ROOT = projectRoot();

/** Compiled JavaScript, for what runs in processes of its own. */
export interface Compiled {
  /** Absolute path of a compiled file, e.g. `src/activities/process/child-main.js`. */
  path(file: string): string;
  /** Removes what was compiled for this test. */
  remove(): void;
}

/** `dist/`, where it is newer than every source of activities, dsl and worker; else compiles into a folder of its own. */
export function compileSources(): Compiled {
  const dist = join(ROOT, 'dist');
  if (isFresh(join(dist, 'src/activities/process/child-main.js'))) {
    return { path: (file) => join(dist, file), remove: () => undefined };
  }
  // Below node_modules, so that the compiled files find what they import.
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'beamline-test-'));
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  // Type errors of other files do not matter here: lint reports them, and JavaScript is written in any case.
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', ROOT, '--outDir', folder], { encoding: 'utf8' });
  if (!existsSync(join(folder, 'src/activities/process/child-main.js'))) throw new Error(`nothing compiled: ${stdout}`);
  return { path: (file) => join(folder, file), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function isFresh(compiled: string): boolean {
  if (!existsSync(compiled)) return false;
  const { mtimeMs } = statSync(compiled);
  return sourceFiles().every((file) => statSync(file).mtimeMs <= mtimeMs);
}

function sourceFiles(): string[] {
  return ['activities', 'dsl', 'worker'].flatMap((folder) => {
    const files = readdirSync(join(ROOT, 'src', folder), { recursive: true, encoding: 'utf8' });
    return files.filter((file) => file.endsWith('.ts')).map((file) => join(ROOT, 'src', folder, file));
  });
}
