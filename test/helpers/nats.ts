import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

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
  const port = await findFreePort();
  const file = join(folder, 'nats.conf');
  writeFileSync(
    file,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${join(folder, 'store')}" }\n${settings}\n`,
  );
  const start = async (): Promise<ChildProcess> => {
    const server = spawn(binary, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
    await untilReady(server);
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
    kill: () => end(server),
    restart: async () => {
      server = await start();
    },
    stop: async () => {
      await end(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function findFreePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the probe has no port');
  return address.port;
}

function untilReady(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4_000);
      if (log.includes('Server is ready')) resolve();
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${log}`)));
  });
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
}
