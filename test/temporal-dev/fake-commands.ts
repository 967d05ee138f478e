import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a usable CLI answers to `--version`. */
export const GOOD_VERSION = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)';

/** A temporary folder that is removed with {@link removeFolders}. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  folders.push(folder);
  return folder;
}

const folders: string[] = [];

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Writes an executable shell script. */
export function writeScript(folder: string, name: string, body: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

/** A stand-in for `temporal` that only knows its version. */
export function writeFakeCli(folder: string, answer: string, name = 'temporal'): string {
  return writeScript(folder, name, `echo '${answer}'`);
}

/** The bytes of a tar.gz with one fake CLI in it. */
export function fakeArchive(answer: string): Buffer {
  const folder = makeFolder();
  writeFakeCli(folder, answer);
  return execFileSync('tar', ['-czf', '-', '-C', folder, 'temporal']);
}

/** A loopback HTTP server; `close` also ends its connections. */
export async function serveHttp(listener: RequestListener): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
