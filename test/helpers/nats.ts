import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../temporal-dev/ports';
import { endServer, untilWritten } from './server-process';

/** A NATS server with JetStream, of one test file. */
export interface TestNats {
  /** `nats://127.0.0.1:PORT`, the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** Ends it as a crash would; its streams stay on the disk. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** `nats-server`: on PATH, or where Debian keeps it; undefined where there is none. */
export function findNatsServer(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), '/usr/sbin'];
  return folders.map((folder) => join(folder, 'nats-server')).find((file) => existsSync(file));
}

/** Starts a server on a free loopback port with its streams in a temporary folder; `settings` go into its configuration file. */
export async function startNats(binary: string, settings = ''): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'blw-nats-'));
  const port = await freePort('127.0.0.1');
  const file = join(folder, 'nats.conf');
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${join(folder, 'store')}" }\n${settings}\n`,
  );
  const start = async (): Promise<ChildProcess> => {
    const server = spawn(binary, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
    await untilWritten(server, 'Server is ready');
    return server;
  };
  let server: ChildProcess;
  try {
    server = await start();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    kill: () => endServer(server, 'SIGKILL'),
    restart: async () => {
      server = await start();
    },
    stop: async () => {
      await endServer(server, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
