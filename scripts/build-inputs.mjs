/** What a build is made from, and the stamp that says which of it the present dist/ was made from. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const DIST = join(ROOT, 'dist');

/** Written last by build.mjs: a dist/ without it is unfinished. */
export const BUILD_STAMP = join(DIST, '.beamline-build');

const INPUTS = ['src', 'temporal-dev', 'conformance', 'tsconfig.json', 'package-lock.json', 'scripts/build.mjs'];

/** All files below a folder, or the file itself; none where it does not exist. */
export function listFiles(path) {
  const entry = existsSync(path) ? readdirEntries(path) : [];
  return entry === undefined ? [path] : entry.flatMap((name) => listFiles(join(path, name))).sort();
}

function readdirEntries(path) {
  try {
    return readdirSync(path);
  } catch (error) {
    if (error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** One hash over the names and contents of everything that a build reads. */
export function hashBuildInputs() {
  const hash = createHash('sha256');
  for (const file of INPUTS.flatMap((input) => listFiles(join(ROOT, input)))) {
    const content = createHash('sha256').update(readFileSync(file)).digest('hex');
    hash.update(`${relative(ROOT, file).split(sep).join('/')} ${content}\n`);
  }
  return hash.digest('hex');
}

/** The text of a stamp file; undefined where there is none. */
export function readStamp(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
