import { createWriteStream } from 'node:fs';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CLI_NAME } from './cli-cache';
import { runCommand } from './run-command';
import { PINNED_CLI_VERSION } from './temporal-version';

/** Temporal's own download host. */
export const DOWNLOAD_BASE_URL = 'https://temporal.download';

const CONNECT_TIMEOUT_MS = 5_000;
const STALL_TIMEOUT_MS = 20_000;
/** For the archive of about 50 MB: enough for a line of 1.5 Mbit/s. */
const DOWNLOAD_DEADLINE_MS = 5 * 60 * 1000;
const EXTRACT_DEADLINE_MS = 2 * 60 * 1000;
const MAX_REDIRECTS = 5;

const PLATFORMS: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The address of the archive for this machine; undefined where Temporal publishes none for it. */
export function archiveUrl(baseUrl: string): string | undefined {
  const platform = PLATFORMS[process.platform];
  const architecture = ARCHITECTURES[process.arch];
  if (platform === undefined || architecture === undefined) return undefined;
  const path = `/cli/archive/v${PINNED_CLI_VERSION}?platform=${platform}&arch=${architecture}`;
  return baseUrl.replace(/\/$/, '') + path;
}

/** Where to download from and to; the times are for tests. */
export interface DownloadOptions {
  readonly url: string;
  /** An empty folder: the archive is written and unpacked there. */
  readonly folder: string;
  readonly connectTimeoutMs?: number;
  readonly deadlineMs?: number;
}

/** Downloads and unpacks the CLI; returns the executable's path. Throws an Error that says what went wrong. */
export async function downloadCli(options: DownloadOptions): Promise<string> {
  const { url, folder, connectTimeoutMs = CONNECT_TIMEOUT_MS, deadlineMs = DOWNLOAD_DEADLINE_MS } = options;
  const archive = process.platform === 'win32' ? 'archive.zip' : 'archive.tar.gz';
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const response = await openFollowing(new URL(url), { signal, connectTimeoutMs });
    await pipeline(response, createWriteStream(join(folder, archive)), { signal });
  } catch (error) {
    if (signal.aborted) throw new Error(`not finished within ${deadlineMs / 1000} s`, { cause: error });
    throw error;
  }
  // Relative names: GNU tar takes C:\… for a host.
  const extracted = await runCommand(tarCommand(), ['-xf', archive], { cwd: folder, timeoutMs: EXTRACT_DEADLINE_MS });
  if (extracted.exitCode !== 0) throw new Error(`tar could not unpack it: ${extracted.output.trim().slice(0, 300)}`);
  return join(folder, CLI_NAME);
}

/** Windows brings a tar that reads zip files; another one that comes first on PATH may not. */
function tarCommand(): string {
  const root = process.env.SystemRoot;
  return process.platform === 'win32' && root !== undefined ? join(root, 'System32', 'tar.exe') : 'tar';
}

interface OpenOptions {
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
}

async function openFollowing(start: URL, options: OpenOptions): Promise<IncomingMessage> {
  let url = start;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await open(url, options);
    const { statusCode = 0 } = response;
    if (statusCode === 200) return response;
    response.resume();
    const { location } = response.headers;
    if (statusCode < 300 || statusCode >= 400 || location === undefined) {
      throw new Error(`${url.host} answered with status ${statusCode}`);
    }
    const next = new URL(location, url);
    if (url.protocol === 'https:' && next.protocol !== 'https:') {
      throw new Error(`${url.host} redirects to ${next.protocol}//${next.host}, which is not https`);
    }
    url = next;
  }
  throw new Error(`${start.host} redirects more than ${MAX_REDIRECTS} times`);
}

function open(url: URL, { signal, connectTimeoutMs }: OpenOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // A connection of its own (no agent): a kept-alive one would never say that it is connected.
    const request = (url.protocol === 'https:' ? httpsGet : httpGet)(url, { signal, agent: false }, (response) => {
      response.setTimeout(STALL_TIMEOUT_MS, () => response.destroy(new Error(`${url.host} stopped sending`)));
      resolve(response);
    });
    const timer = setTimeout(() => {
      request.destroy(new Error(`${url.host} does not accept the connection within ${connectTimeoutMs / 1000} s`));
    }, connectTimeoutMs);
    request.once('socket', (socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer));
    });
    request.setTimeout(STALL_TIMEOUT_MS, () => request.destroy(new Error(`${url.host} does not answer`)));
    request.once('close', () => clearTimeout(timer));
    request.once('error', reject);
  });
}
