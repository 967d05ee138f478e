import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { flowError } from '../src/dsl/errors';
import { PINNED_CLI_VERSION } from './temporal-version';

const LOCK_POLL_MS = 200;
const LOCK_HEARTBEAT_MS = 5_000;
/** A lock that missed six heartbeats belongs to nobody: its owner is gone, or on a machine that stalled. */
const LOCK_STALE_MS = 30_000;
const LEFTOVER_MS = 60 * 60 * 1000;

/** Name of the executable inside an archive or a GOBIN folder. */
export const CLI_NAME = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

/** The project's cache: $BEAMLINE_CACHE_DIR, $XDG_CACHE_HOME/beamline-worker or ~/.cache/beamline-worker. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.BEAMLINE_CACHE_DIR) return env.BEAMLINE_CACHE_DIR;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'beamline-worker');
}

/** Where the cache keeps the pinned CLI. */
export function cachedCliFile(env: NodeJS.ProcessEnv): string {
  return join(binFolder(env), `temporal-${PINNED_CLI_VERSION}${process.platform === 'win32' ? '.exe' : ''}`);
}

/**
 * Calls `work` with a fresh folder inside the cache, on the same file system as {@link cachedCliFile}, so that a
 * rename from one to the other is atomic. The folder is removed afterwards, whatever happens.
 */
export async function withCacheFolder<T>(env: NodeJS.ProcessEnv, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(binFolder(env), 'tmp-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Calls `work` while no other process fills the same cache. The lock saves work and does not guard correctness
 * (files enter the cache by rename only), so a stale one is simply taken away.
 * Throws BLW_CONFIG where the cache folder cannot be written.
 */
export async function withCacheLock<T>(
  options: { env: NodeJS.ProcessEnv; log: (line: string) => void },
  work: () => Promise<T>,
): Promise<T> {
  const { env, log } = options;
  const file = join(binFolder(env), 'lock');
  await makeBinFolder(env);
  let hasWaited = false;
  while (!(await takeLock(file))) {
    if (!hasWaited) log('another process is getting the Temporal CLI; waiting for it');
    hasWaited = true;
    if (!(await dropStaleLock(file))) await delay(LOCK_POLL_MS);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, LOCK_HEARTBEAT_MS);
  heartbeat.unref();
  try {
    await removeLeftovers(env);
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(file, { force: true });
  }
}

function binFolder(env: NodeJS.ProcessEnv): string {
  return join(cacheFolder(env), 'bin');
}

async function makeBinFolder(env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await mkdir(binFolder(env), { recursive: true });
  } catch (cause) {
    const detail = `the cache folder ${binFolder(env)} cannot be made; set BEAMLINE_CACHE_DIR to a folder you may write to`;
    throw flowError('BLW_CONFIG', detail, { cause });
  }
}

async function takeLock(file: string): Promise<boolean> {
  try {
    await writeFile(file, `${process.pid} ${hostname()}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw flowError('BLW_CONFIG', `${file} cannot be written; set BEAMLINE_CACHE_DIR to a folder you may write to`, {
      cause: error,
    });
  }
}

async function dropStaleLock(file: string): Promise<boolean> {
  try {
    const [owner, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    if (Date.now() - mtimeMs < LOCK_STALE_MS && !isDeadProcessHere(owner)) return false;
    // By way of a rename: of several waiters that saw the same stale lock, one succeeds and the others look again.
    const aside = `${file}.${randomUUID()}`;
    await rename(file, aside);
    await rm(aside, { force: true });
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    throw error;
  }
}

function isDeadProcessHere(owner: string): boolean {
  const [pid, host] = owner.split(' ');
  if (host !== hostname() || !Number.isInteger(Number(pid))) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return isErrno(error, 'ESRCH');
  }
}

/** Folders that a killed process left behind. */
async function removeLeftovers(env: NodeJS.ProcessEnv): Promise<void> {
  const names = (await readdir(binFolder(env))).filter((name) => name.startsWith('tmp-'));
  for (const folder of names.map((name) => join(binFolder(env), name))) {
    const age = await stat(folder).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > LEFTOVER_MS) await rm(folder, { recursive: true, force: true });
  }
}

function isErrno(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
