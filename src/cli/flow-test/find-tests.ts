import { type Dirent, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FLOW_TEST_FILE } from '../../dsl/flow-test/flow-test';
import type { Cli } from '../cli';
import { usageError } from '../command-error';
import { shortPath } from '../short-path';

const DOCUMENT_ENDINGS = ['yaml', 'yml', 'json'];

/** Folders of code that is not the user's own. */
const NOT_SEARCHED = new Set(['node_modules']);

/**
 * The files of tests that are meant: those that are named, and all below the folders that are named, in the order of their names. Throws
 * BLW_USAGE where something named is not there, or there are none.
 */
export async function findTestFiles(places: readonly string[], cli: Cli): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const place of places) {
    const path = resolve(cli.cwd, place);
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) throw usageError(`${place}: there is no such file or folder`);
    for (const file of info.isDirectory() ? await searchFolder(path) : [path]) found.add(shortPath(file, cli.cwd));
  }
  if (found.size > 0) return [...found];
  throw usageError(`no flow tests in ${places.join(', ')}, expected files called NAME.flow-test.yaml`, {
    help: 'Put a file of cases beside a flow; docs/testing.md shows one.',
  });
}

async function searchFolder(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of sortedByName(await readdir(folder, { withFileTypes: true }))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith('.') && !NOT_SEARCHED.has(entry.name))
      files.push(...(await searchFolder(path)));
    else if (FLOW_TEST_FILE.test(entry.name) && (await isFile(path))) files.push(path);
  }
  return files;
}

/** Also behind a link. */
async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

function sortedByName(entries: Dirent[]): Dirent[] {
  return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** The document of the flow that a file of tests is of: the one that it names, else the one beside it that has its name. Undefined: there is none. */
export function flowFileOf(testFile: string, named: string | undefined, { cwd }: Cli): string | undefined {
  if (named !== undefined) return shortPath(resolve(cwd, dirname(testFile), named), cwd);
  const stem = testFile.replace(FLOW_TEST_FILE, '');
  return DOCUMENT_ENDINGS.map((ending) => `${stem}.${ending}`).find((file) => existsSync(resolve(cwd, file)));
}
