import { statSync } from 'node:fs';

/** True where not only the worker's user and group may read the file; false where there is none. */
export function isOpenToOthers(file: string): boolean {
  return ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o007) !== 0;
}

/** What a log says of such a file. */
export function openToOthers(what: string): string {
  return `every user of this machine may read ${what}; take their rights to it away`;
}
