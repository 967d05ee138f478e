import { readFileSync, writeFileSync } from 'node:fs';
import { flowError } from '../src/dsl/errors';

/** Beside the database: the process id of the server that uses it. Left behind, it is harmless: its process is gone. */
function ownerFile(dbFile: string): string {
  return `${dbFile}.pid`;
}

/** Refuses a database that another server is using: two on one file corrupt each other's work. Throws BLW_CONFIG. */
export function assertDatabaseFree(dbFile: string): void {
  const pid = readOwner(dbFile);
  if (pid === undefined || !isAlive(pid)) return;
  throw flowError(
    'BLW_CONFIG',
    `${dbFile} is in use by another Temporal server (process ${pid}); stop that one, or choose another file with --db`,
  );
}

/** Notes who uses the database from now on. */
export function claimDatabase(dbFile: string, pid: number): void {
  writeFileSync(ownerFile(dbFile), `${pid}\n`);
}

function readOwner(dbFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(ownerFile(dbFile), 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    // No such file, or not to be read: nobody is known to use it.
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
