import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../temporal-dev/ports';
import { endServer, untilWritten } from './server-process';

/** PostgreSQL's fast shutdown: it ends sessions and stops. SIGQUIT is the immediate one, after which it recovers. */
const ORDERLY = 'SIGINT';

/** A PostgreSQL server of one test file, with an empty database. */
export interface TestPostgres {
  /** Of a superuser who logs in with a password, over TCP. */
  readonly url: string;
  readonly port: number;
  readonly password: string;
  /** Ends it as a crash would (immediate shutdown), or in good order, and starts it again on the same data and port. */
  restart(how: 'crash' | 'orderly'): Promise<void>;
  stop(): Promise<void>;
}

/** Folder of `initdb` and `postgres`: on PATH, or where Debian keeps them; undefined where there are none. */
export function findPostgresBinaries(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((left, right) => Number(right) - Number(left)) : [];
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
}

/** Starts a server on a free loopback port, as an unprivileged user where the test runs as root: PostgreSQL refuses root. */
export async function startPostgres(binaries: string): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'blw-postgres-'));
  const owner = process.getuid?.() === 0 ? unprivilegedUser() : {};
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const password = 'correct horse';
  const data = join(folder, 'data');
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C', PASSWORD: password };
  try {
    // The password goes through a pipe of the shell, so that it is in no file and in no argument.
    const command = `printf %s "$PASSWORD" | "$0" -D "$1" -U admin -A scram-sha-256 --pwfile=/dev/stdin -E UTF8 --no-sync`;
    execFileSync('/bin/sh', ['-c', command, join(binaries, 'initdb'), data], {
      ...owner,
      env,
      stdio: 'pipe',
      cwd: folder,
    });
    const port = await freePort('127.0.0.1');
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, 'fsync=off'];
    const launch = async (): Promise<ChildProcess> => {
      const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
      const stdio: ('ignore' | 'pipe')[] = ['ignore', 'ignore', 'pipe'];
      const started = spawn(join(binaries, 'postgres'), args, { ...owner, env: { LC_ALL: 'C' }, stdio, cwd: folder });
      await untilWritten(started, 'ready to accept connections');
      return started;
    };
    let server = await launch();
    return {
      url: `postgres://admin:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
      port,
      password,
      restart: async (how) => {
        await endServer(server, how === 'crash' ? 'SIGQUIT' : ORDERLY);
        server = await launch();
      },
      stop: async () => {
        await endServer(server, ORDERLY);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** `postgres` where there is such a user, else `nobody`. */
function unprivilegedUser(): { uid?: number; gid?: number } {
  const idOf = (flag: string, user: string): number => Number(execFileSync('id', [flag, user], { stdio: 'pipe' }));
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) };
    } catch {
      // The next one.
    }
  }
  return {};
}
