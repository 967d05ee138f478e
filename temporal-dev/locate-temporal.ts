import { constants } from 'node:fs';
import { access, chmod, rename } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type FlowError, flowError } from '../src/dsl/errors';
import { buildCli, findGo } from './build-cli';
import { CLI_NAME, cachedCliFile, withCacheFolder, withCacheLock } from './cli-cache';
import { archiveUrl, DOWNLOAD_BASE_URL, downloadCli } from './download-cli';
import { checkCli, MINIMUM_CLI_VERSION, PINNED_CLI_VERSION } from './temporal-version';

/** Settings of {@link findTemporal}. */
export interface FindTemporalOptions {
  /** Receives one line for each thing that takes time or is passed over; nothing where the CLI is simply there. */
  readonly log: (line: string) => void;
  /** False: look, but neither download nor build. Default true. */
  readonly canInstall?: boolean;
  /** Default: the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: Temporal's own host. */
  readonly downloadBaseUrl?: string;
  /** Default 5 s. */
  readonly connectTimeoutMs?: number;
}

/** Settings with their defaults. */
type Settings = Required<Omit<FindTemporalOptions, 'connectTimeoutMs'>> & { readonly connectTimeoutMs?: number };

/**
 * Finds or makes a Temporal CLI of version 1.5.0 or newer and returns the path of the executable. In this order:
 * $BEAMLINE_TEMPORAL_CLI; PATH; the project's cache; the official download; `go install`.
 *
 * Throws BLW_CONFIG where $BEAMLINE_TEMPORAL_CLI or the cache folder is unusable, and BLW_TEMPORAL_UNREACHABLE,
 * with what was tried and how to get a CLI, where none can be had.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<string> {
  const settings: Settings = { canInstall: true, env: process.env, downloadBaseUrl: DOWNLOAD_BASE_URL, ...options };
  const { env, log } = settings;
  if (env.BEAMLINE_TEMPORAL_CLI) return checkNamed(env.BEAMLINE_TEMPORAL_CLI);
  const present = (await findOnPath(settings)) ?? (await findInCache(settings));
  if (present !== undefined) return present;
  if (!settings.canInstall) throw notFound(['looked on PATH and in the cache']);
  return withCacheLock({ env, log }, async () => (await findInCache(settings)) ?? (await install(settings)));
}

async function checkNamed(file: string): Promise<string> {
  const check = await checkCli(file);
  if (check.usable) return file;
  throw flowError(
    'BLW_CONFIG',
    `BEAMLINE_TEMPORAL_CLI names ${file}, which is not usable: ${check.why}; ` +
      `name a Temporal CLI of version ${MINIMUM_CLI_VERSION} or newer, or unset the variable`,
  );
}

async function findOnPath({ env, log }: Settings): Promise<string | undefined> {
  const folders = (env.PATH ?? env.Path ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const file of new Set(folders.map((folder) => join(folder, CLI_NAME)))) {
    if (!(await isExecutable(file))) continue;
    const check = await checkCli(file);
    if (check.usable) return file;
    log(`passing over ${file}: ${check.why}`);
  }
  return undefined;
}

async function findInCache({ env, log }: Settings): Promise<string | undefined> {
  const file = cachedCliFile(env);
  if (!(await isExecutable(file))) return undefined;
  const check = await checkCli(file);
  if (check.usable) return file;
  log(`passing over ${file}: ${check.why}`);
  return undefined;
}

async function install(settings: Settings): Promise<string> {
  const { log } = settings;
  const failures: string[] = [];
  for (const make of [installByDownload, installByBuild]) {
    try {
      return await withCacheFolder(settings.env, async (folder) => {
        const made = await make(settings, folder);
        return adopt(made, cachedCliFile(settings.env));
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log(reason);
      failures.push(reason);
    }
  }
  throw notFound(failures);
}

async function installByDownload(settings: Settings, folder: string): Promise<string> {
  const { log, downloadBaseUrl, connectTimeoutMs } = settings;
  const url = archiveUrl(downloadBaseUrl);
  if (url === undefined) throw new Error(`there is no download for ${process.platform} on ${process.arch}`);
  log(`downloading the Temporal CLI ${PINNED_CLI_VERSION} from ${new URL(url).host}`);
  try {
    return await downloadCli({ url, folder, ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }) });
  } catch (cause) {
    throw new Error(`the download failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function installByBuild({ env, log }: Settings, folder: string): Promise<string> {
  const go = await findGo(env);
  if (go === undefined) throw new Error('no Go 1.23 or newer on PATH to build it with');
  log(`building the Temporal CLI ${PINNED_CLI_VERSION} with Go ${go}; takes about 2.5 minutes, once`);
  return buildCli({ folder, env, log });
}

/** Puts a new executable into the cache, but only once it has proved to be one. */
async function adopt(made: string, target: string): Promise<string> {
  if (process.platform !== 'win32') await chmod(made, 0o755);
  const check = await checkCli(made);
  if (!check.usable) throw new Error(`what came is not usable: ${check.why}`);
  await rename(made, target);
  return target;
}

function notFound(tried: readonly string[]): FlowError {
  return flowError(
    'BLW_TEMPORAL_UNREACHABLE',
    `no Temporal CLI of version ${MINIMUM_CLI_VERSION} or newer: ${tried.join('; ')}. Install it (Temporal's ` +
      'documentation, "Temporal CLI": a package manager or one archive) so that `temporal` is on PATH, or set ' +
      'BEAMLINE_TEMPORAL_CLI to its file. To use a Temporal that runs already, set TEMPORAL_ADDRESS instead',
  );
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
