import { constants, statSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { flowError } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import { TENANT } from '../../dsl/start';
import { notRetryable } from '../block-failure';
import { errorCode } from './blob-io';
import { parseSecret } from './parse-secret';

/** Largest secret, 1 MiB, as in Kubernetes. */
const MAX_BYTES = 1_048_576;

/** A file's name and nothing else: no folder, not hidden (Kubernetes keeps its own in `..data`), nothing that a path makes of it. */
const FILE_NAME = /^(?!\.)[^/\\\0\s]{1,128}$/;

/** Times that a file is looked for: Kubernetes changes all files of a folder by changing one link. */
const TRIES = 3;

/**
 * Secrets in a folder: the files `NAME` for all tenants, and `TENANT/NAME` for one. Files may be links, as Kubernetes mounts
 * secrets; what they lead to has to be a regular file in the folder, and for one tenant in that tenant's own. It is read for every step.
 */
export class SecretFolder {
  /** `folder` is absolute. Throws BLW_CONFIG where it is not a folder. */
  constructor(private readonly folder: string) {
    try {
      if (statSync(folder).isDirectory()) return;
    } catch (cause) {
      throw flowError('BLW_CONFIG', `--secret-folder ${folder}: cannot be read (${reasonOf(cause)})`, { cause });
    }
    throw flowError('BLW_CONFIG', `--secret-folder ${folder}: got a file, expected a folder`);
  }

  /** Of one tenant; undefined where there is none. Throws BLW_SECRET_UNAVAILABLE where it is there and cannot be read. */
  async own(name: string, tenant: string): Promise<Json | undefined> {
    return TENANT.test(tenant) ? await this.#read(name, join(this.folder, tenant)) : undefined;
  }

  /** Likewise, for all tenants. */
  async shared(name: string): Promise<Json | undefined> {
    return await this.#read(name, this.folder);
  }

  async #read(name: string, folder: string): Promise<Json | undefined> {
    if (!FILE_NAME.test(name)) return undefined;
    for (let left = TRIES - 1; ; left -= 1) {
      try {
        const file = await this.#resolve(name, folder);
        const text = file === undefined ? undefined : await readRegularFile(file);
        return text === undefined ? undefined : parseSecret(text);
      } catch (error) {
        const code = errorCode(error);
        if (code === 'ENOENT' && left > 0) continue;
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
        throw unreadable(name, reasonOf(error), error);
      }
    }
  }

  /** Where a name leads; undefined where that is not in the folder it is looked up in: who writes there has no part in the others. */
  async #resolve(name: string, folder: string): Promise<string | undefined> {
    // The folder first, and the name there: it may be a link that is changed just now.
    const [root, owner] = await Promise.all([realpath(this.folder), realpath(folder)]);
    if (owner !== root && !isIn(owner, root)) return undefined;
    const file = await realpath(join(owner, name));
    return isIn(file, owner) ? file : undefined;
  }
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Undefined where it is something else: a folder of a tenant, a device. */
async function readRegularFile(file: string): Promise<string | undefined> {
  // Without waiting for a writer, should it be a pipe.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) return undefined;
    if (found.size > MAX_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function unreadable(name: string, reason: string, cause: unknown) {
  const detail = `secret "${name}": its file in the secret folder cannot be read (${reason}), expected a file of at most ${MAX_BYTES} bytes`;
  return notRetryable('BLW_SECRET_UNAVAILABLE', detail, { cause });
}

function reasonOf(error: unknown): string {
  return errorCode(error) ?? 'unknown error';
}
