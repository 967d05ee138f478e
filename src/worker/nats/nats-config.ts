import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { flowError } from '../../dsl/errors';
import { shortText } from '../../dsl/problems';

/** Where NATS is, and who the worker is to it. */
export interface NatsConfig {
  /** `HOST:PORT`. */
  readonly servers: readonly string[];
  /** Only servers that speak TLS. */
  readonly isTls: boolean;
  /** Absolute. */
  readonly credentials?: string;
  /** Absolute; absent: the authorities that Node.js knows. */
  readonly ca?: string;
}

const FORM = 'expected nats://HOST[:PORT] or tls://HOST[:PORT], several with commas';

/**
 * Reads the flags `--nats-…`; relative files are taken from `cwd`. Throws BLW_CONFIG, without the URL where that may hold a password;
 * files are read once to tell now what would be wrong later.
 */
export function parseNats(
  { url, credentials, ca }: { readonly url: string; readonly credentials: string; readonly ca: string },
  cwd: string,
): { nats?: NatsConfig } {
  if (url === '') {
    const [extra] = [...(credentials === '' ? [] : ['credentials']), ...(ca === '' ? [] : ['ca'])];
    if (extra === undefined) return {};
    throw flowError(
      'BLW_CONFIG',
      `--nats-${extra}: counts with --nats-url only; add that, or leave --nats-${extra} out`,
    );
  }
  const { servers, isTls } = parseServers(url);
  if (ca !== '' && !isTls) throw flowError('BLW_CONFIG', '--nats-ca: counts with a --nats-url of tls:// only');
  if (ca !== '') readText('ca', resolve(cwd, ca));
  if (credentials !== '') readCredentials(resolve(cwd, credentials));
  return {
    nats: {
      servers,
      isTls,
      ...(credentials === '' ? {} : { credentials: resolve(cwd, credentials) }),
      ...(ca === '' ? {} : { ca: resolve(cwd, ca) }),
    },
  };
}

function parseServers(text: string): { servers: string[]; isTls: boolean } {
  const urls = text.split(',').map((part) => part.trim());
  if (urls.some((part) => part.includes('@')))
    throw flowError(
      'BLW_CONFIG',
      '--nats-url: no user and no password belong into it; expected --nats-credentials FILE',
    );
  const parsed = urls.map((part) => /^(nats|tls):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?\/?$/i.exec(part));
  const servers = parsed.flatMap((match) => {
    const [, , host = '', port = '4222'] = match ?? [];
    return match !== null && Number(port) >= 1 && Number(port) <= 65_535 ? [`${host}:${port}`] : [];
  });
  if (servers.length !== urls.length) throw flowError('BLW_CONFIG', `--nats-url: got "${shortText(text)}", ${FORM}`);
  const schemes = new Set(parsed.map((match) => match?.[1]?.toLowerCase()));
  if (schemes.size > 1)
    throw flowError('BLW_CONFIG', '--nats-url: got nats:// and tls://, expected one of them for all');
  return { servers, isTls: schemes.has('tls') };
}

/** What a credentials file has. */
export type NatsCredentials =
  /** Of a user of NATS's JWT authentication: the file's bytes. */
  { readonly creds: Uint8Array } | { readonly user: string; readonly password: string };

/** Reads a credentials file. Throws BLW_CONFIG, with nothing of what it has. */
export function readCredentials(file: string): NatsCredentials {
  const text = readText('credentials', file);
  if (text.includes('BEGIN NATS USER JWT')) return { creds: new TextEncoder().encode(text) };
  const [, user, password] = /^([^:\s]+):(.+)$/.exec(text.trim()) ?? [];
  if (user !== undefined && password !== undefined) return { user, password };
  throw flowError('BLW_CONFIG', `--nats-credentials ${file}: expected a .creds file, or one line USER:PASSWORD`);
}

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw flowError('BLW_CONFIG', `--nats-${flag} ${file}: cannot be read (${code})`, { cause });
  }
}
