import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const LOG_TAIL_BYTES = 8 * 1024;
const LOG_TAIL_LINES = 12;

/** The files of one server. */
export interface ServerFiles {
  /** Temporary folder, to be removed with the server. */
  readonly folder: string;
  readonly dbFile: string;
  /** True where the database was there before: its search attributes may be those of an earlier release. */
  readonly isOldDatabase: boolean;
  readonly logFile: string;
  /** Length of the log before this server: what follows is this server's. */
  readonly logStart: number;
}

/** Makes the folders, and chooses temporary files for what is not given. */
export async function prepareFiles(given: { dbFile?: string; logFile?: string }): Promise<ServerFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'beamline-temporal-'));
  try {
    const dbFile = resolve(given.dbFile ?? join(folder, 'temporal.db'));
    const logFile = resolve(given.logFile ?? join(folder, 'temporal.log'));
    await Promise.all([dbFile, logFile].map((file) => mkdir(dirname(file), { recursive: true })));
    return { folder, dbFile, isOldDatabase: existsSync(dbFile), logFile, logStart: await touch(logFile) };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function touch(file: string): Promise<number> {
  const handle = await open(file, 'a');
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** The last lines that this server wrote; empty where it wrote none. */
export async function readLogTail({ logFile, logStart }: ServerFiles): Promise<string> {
  const handle = await open(logFile, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(logStart, size - LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start });
    return buffer.toString('utf8', 0, bytesRead).trim().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  } finally {
    await handle.close();
  }
}
