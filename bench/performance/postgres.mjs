/** A PostgreSQL of its own: on loopback, with a password, in a temporary folder, with the settings that it has by default. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { BenchFailure } from './failure.mjs';
import { startProcess } from './processes.mjs';

const require = createRequire(new URL('../../package.json', import.meta.url));
const { freePort } = require('./dist/temporal-dev/ports.js');

/** Of the superuser. */
const USER = 'temporal';

/** Sessions: those of Temporal's four services and of the workers' state store. */
const MAX_CONNECTIONS = 200;

/** Starts it as an unprivileged user where this is root, which PostgreSQL refuses. */
export async function startPostgres(binaries, releases) {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-postgres-'));
  releases.add(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const owner = process.getuid?.() === 0 ? unprivilegedUser() : {};
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const password = randomBytes(16).toString('hex');
  const data = join(folder, 'data');
  makeCluster(join(binaries, 'initdb'), { data, password, owner, cwd: folder });
  const port = await freePort('127.0.0.1');
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    `max_connections=${MAX_CONNECTIONS}`,
  ];
  const { pid } = await startProcess(
    join(binaries, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    // SIGINT: fast shutdown, which waits for no session.
    { releases, cwd: folder, owner, env: { LC_ALL: 'C' }, ready: /ready to accept connections/, endSignal: 'SIGINT' },
  );
  return { pid, port, user: USER, password };
}

function makeCluster(initdb, { data, password, owner, cwd }) {
  // The password goes through a pipe of the shell, so that it is in no file and in no argument.
  const command = 'printf %s "$PASSWORD" | "$0" -D "$1" -U "$2" -A scram-sha-256 --pwfile=/dev/stdin -E UTF8';
  const env = { PATH: process.env.PATH, LC_ALL: 'C', PASSWORD: password };
  try {
    execFileSync('/bin/sh', ['-c', command, initdb, data, USER], { ...owner, env, cwd, stdio: 'pipe' });
  } catch ({ stderr }) {
    throw new BenchFailure(`initdb failed: ${String(stderr).trim()}`);
  }
}

/** Folder of `initdb` and `postgres`: on PATH, or where Debian keeps them. Throws BenchFailure where there are none. */
export function findPostgres() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((left, right) => Number(right) - Number(left)) : [];
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const folders = [...onPath, ...versions.map((version) => join(debian, version, 'bin'))];
  const found = folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
  if (found !== undefined) return found;
  throw new BenchFailure(
    'PostgreSQL is missing: no initdb and postgres on PATH or below /usr/lib/postgresql. Install it (Debian: apt-get install postgresql), ' +
      'or measure a cluster that runs with --address HOST:PORT',
  );
}

function unprivilegedUser() {
  const idOf = (flag, user) => Number(execFileSync('id', [flag, user], { stdio: 'pipe' }));
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) };
    } catch {
      // The next one.
    }
  }
  throw new BenchFailure(
    'PostgreSQL refuses to run as root, and there is no user postgres or nobody; run this as another user',
  );
}
