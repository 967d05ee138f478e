import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { flowError } from '../../dsl/errors';
import { notRetryable } from '../block-failure';
import { parseSecret } from './parse-secret';
import type { SecretFolder } from './secret-folder';
import type { SecretStore } from './secret-store';

/** One `--secret`: where a secret is, never what it is. */
export interface SecretConfig {
  readonly name: string;
  /** Absent: for every tenant. */
  readonly tenant?: string;
  readonly source: { readonly env: string } | { readonly /** Absolute. */ file: string };
}

const FORMS = 'expected NAME=env:VARIABLE or NAME=file:PATH, or TENANT/NAME=… for one tenant only';
const NAME = /^(?:([A-Za-z0-9][A-Za-z0-9._-]{0,62})\/)?([^=/\s]{1,128})$/;

/**
 * Reads the value of `--secret`, e.g. `token=env:API_TOKEN` or `acme/shop=file:./shop.json`. A relative file is taken from
 * `cwd`. Throws BLW_CONFIG; what follows the name is not repeated, since somebody may have written the secret there.
 */
export function parseSecretFlag(text: string, cwd: string = process.cwd()): SecretConfig {
  const [, left = '', kind = '', place = ''] = /^([^=]*)=(env|file):([\s\S]+)$/.exec(text) ?? [];
  const [, tenant, name] = NAME.exec(left) ?? [];
  if (name === undefined || (kind === 'env' && !/^[A-Za-z_]\w*$/.test(place))) {
    const [given = ''] = text.split('=', 1);
    const which = text.includes('=') && NAME.test(given) ? ` ${given}` : '';
    throw flowError('BLW_CONFIG', `--secret${which}: ${FORMS}`);
  }
  const source = kind === 'env' ? { env: place } : { file: resolve(cwd, place) };
  return { name, source, ...(tenant === undefined ? {} : { tenant }) };
}

/**
 * The secrets of a worker: those that are named, and those of a folder. One that is for a tenant comes before those for all, and
 * one that is named before one of the folder. A file is read anew for every step. Throws BLW_CONFIG where one is there twice, or cannot be read
 * now: a worker should not find out when a flow fails.
 */
export function createConfiguredSecrets(
  configs: readonly SecretConfig[],
  env: NodeJS.ProcessEnv = process.env,
  folder?: SecretFolder,
): SecretStore {
  const byKey = new Map<string, SecretConfig>();
  for (const config of configs) {
    const key = keyOf(config);
    if (byKey.has(key)) throw flowError('BLW_CONFIG', `--secret ${key}: got the name twice; expected one each`);
    checkSource(key, config, env);
    byKey.set(key, config);
  }
  return {
    async get(name, tenant) {
      // A name with a tenant in it is no name: it would reach into another tenant's secrets.
      if (name.includes('/')) return undefined;
      const read = async (config: SecretConfig | undefined) =>
        config === undefined ? undefined : parseSecret(await readSource(config, env));
      return (
        (await read(byKey.get(keyOf({ name, tenant })))) ??
        (await folder?.own(name, tenant)) ??
        (await read(byKey.get(name))) ??
        (await folder?.shared(name))
      );
    },
  };
}

function keyOf({ name, tenant }: Pick<SecretConfig, 'name' | 'tenant'>): string {
  return tenant === undefined ? name : `${tenant}/${name}`;
}

function checkSource(key: string, { source }: SecretConfig, env: NodeJS.ProcessEnv): void {
  if ('env' in source) {
    if (env[source.env]) return;
    throw flowError(
      'BLW_CONFIG',
      `--secret ${key}: the variable ${source.env} is not set; expected it to have the secret`,
    );
  }
  try {
    readFileSync(source.file);
  } catch (cause) {
    throw flowError('BLW_CONFIG', `--secret ${key}: the file cannot be read (${reasonOf(cause)})`, { cause });
  }
}

async function readSource({ name, source }: SecretConfig, env: NodeJS.ProcessEnv): Promise<string> {
  if ('env' in source) return env[source.env] ?? '';
  try {
    return await readFile(source.file, 'utf8');
  } catch (cause) {
    const detail = `secret "${name}": its file cannot be read (${reasonOf(cause)}), expected it to be there`;
    throw notRetryable('BLW_SECRET_UNAVAILABLE', detail, { cause });
  }
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
