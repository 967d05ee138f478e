import { relative } from 'node:path';

/** A file as a person in a folder writes it: relative where it is below that. */
export function shortPath(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith('..') ? file : path;
}
