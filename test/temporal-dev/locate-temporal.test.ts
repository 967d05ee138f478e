import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { type FindTemporalOptions, findTemporal } from '../../temporal-dev/locate-temporal';
import {
  fakeArchive,
  GOOD_VERSION,
  makeFolder,
  removeFolders,
  serveHttp,
  writeFakeCli,
  writeScript,
} from './fake-commands';

/** Nothing listens there: port 1 of loopback refuses at once. */
const NO_DOWNLOAD = 'http://127.0.0.1:1';

let cache: string;
let binFolder: string;
let cachedFile: string;
let lines: string[];

beforeEach(() => {
  cache = join(makeFolder(), 'cache');
  binFolder = join(cache, 'bin');
  cachedFile = join(binFolder, 'temporal-1.5.1');
  lines = [];
});
afterAll(removeFolders);

function find(path: readonly string[], more: Partial<FindTemporalOptions> = {}): Promise<string> {
  const { env, ...rest } = more;
  return findTemporal({
    log: (line) => lines.push(line),
    env: { PATH: path.join(delimiter), BEAMLINE_CACHE_DIR: cache, ...env },
    downloadBaseUrl: NO_DOWNLOAD,
    ...rest,
  });
}

/** A `go` whose `install` writes a fake CLI into GOBIN and keeps its arguments. */
function writeFakeGo(folder: string, version: string, argumentsFile: string): void {
  const install = `printf '#!/bin/sh\\necho "${GOOD_VERSION}"\\n' > "$GOBIN/temporal"; echo "$@" >> ${argumentsFile}`;
  writeScript(
    folder,
    'go',
    `if [ "$1" = version ]; then echo "go version go${version} linux/amd64"; else ${install}; fi`,
  );
}

describe('the order of places', () => {
  test('takes the CLI that BEAMLINE_TEMPORAL_CLI names before all others', async () => {
    const named = writeFakeCli(makeFolder(), GOOD_VERSION, 'my-temporal');
    const onPath = makeFolder();
    writeFakeCli(onPath, GOOD_VERSION);
    expect(await find([onPath], { env: { BEAMLINE_TEMPORAL_CLI: named } })).toBe(named);
    expect(lines).toEqual([]);
  });

  test.each([
    ['does not exist', () => '/nowhere/temporal', /ENOENT/],
    [
      'is too old',
      () => writeFakeCli(makeFolder(), 'temporal version 1.4.0 (Server 1.28.0)'),
      /1\.4\.0.*older than 1\.5\.0/,
    ],
    ['is something else', () => writeFakeCli(makeFolder(), 'hello'), /"hello", which is no Temporal CLI/],
    ['fails', () => writeScript(makeFolder(), 'temporal', 'echo broken >&2; exit 3'), /broken/],
  ])('refuses a BEAMLINE_TEMPORAL_CLI that %s', async (_, make, message) => {
    const file = make();
    const refusal = find([], { env: { BEAMLINE_TEMPORAL_CLI: file } });
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
    await expect(refusal).rejects.toThrow(message);
    await expect(refusal).rejects.toThrow(file);
  });

  test('takes the first on PATH that is new enough, before the cache, and names those it passes over', async () => {
    const [none, old, good] = [makeFolder(), makeFolder(), makeFolder()];
    const oldFile = writeFakeCli(old, 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.0)');
    const goodFile = writeFakeCli(good, GOOD_VERSION);
    writeFakeCli(binFolder, GOOD_VERSION, 'temporal-1.5.1');
    expect(await find([none, old, good])).toBe(goodFile);
    expect(lines).toEqual([`passing over ${oldFile}: version 1.1.0 (server 1.25.0) is older than 1.5.0`]);
  });

  test('takes the cached one before any download, silently', async () => {
    writeFakeCli(binFolder, 'temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)', 'temporal-1.5.1');
    expect(await find([])).toBe(cachedFile);
    expect(lines).toEqual([]);
  });

  test('looks for the cache under XDG_CACHE_HOME', async () => {
    const base = makeFolder();
    const file = writeFakeCli(join(base, 'beamline-worker', 'bin'), GOOD_VERSION, 'temporal-1.5.1');
    expect(await find([], { env: { BEAMLINE_CACHE_DIR: '', XDG_CACHE_HOME: base } })).toBe(file);
  });

  test('neither downloads nor builds where it may not', async () => {
    await expect(find([], { canInstall: false })).rejects.toMatchObject({ data: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
    expect(existsSync(cache)).toBe(false);
  });
});

describe('the download', () => {
  test('fetches the pinned version for this machine, through a redirect, and keeps it', async () => {
    const archive = fakeArchive(GOOD_VERSION);
    const requested: string[] = [];
    const host = await serveHttp((request, response) => {
      requested.push(request.url ?? '');
      if (request.url === '/file') response.end(archive);
      else response.writeHead(302, { location: '/file' }).end();
    });
    try {
      expect(await find([], { downloadBaseUrl: host.url })).toBe(cachedFile);
      expect(await find([], { downloadBaseUrl: host.url })).toBe(cachedFile);
    } finally {
      await host.close();
    }
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    expect(requested).toEqual([`/cli/archive/v1.5.1?platform=${process.platform}&arch=${architecture}`, '/file']);
    expect(readdirSync(binFolder)).toEqual(['temporal-1.5.1']);
    expect(lines).toEqual([expect.stringMatching(/^downloading the Temporal CLI 1\.5\.1 from 127\.0\.0\.1:/)]);
  });

  test('replaces a cached file that is damaged', async () => {
    writeScript(binFolder, 'temporal-1.5.1', 'exit 126');
    const archive = fakeArchive(GOOD_VERSION);
    const host = await serveHttp((_, response) => response.end(archive));
    try {
      expect(await find([], { downloadBaseUrl: host.url })).toBe(cachedFile);
    } finally {
      await host.close();
    }
    expect(readFileSync(cachedFile, 'utf8')).toContain(GOOD_VERSION);
  });

  test('happens once for callers at the same time', async () => {
    const archive = fakeArchive(GOOD_VERSION);
    let downloads = 0;
    const host = await serveHttp((_, response) => {
      downloads++;
      response.end(archive);
    });
    try {
      const found = await Promise.all([1, 2, 3].map(() => find([], { downloadBaseUrl: host.url })));
      expect(found).toEqual([cachedFile, cachedFile, cachedFile]);
    } finally {
      await host.close();
    }
    expect(downloads).toBe(1);
    expect(readdirSync(binFolder)).toEqual(['temporal-1.5.1']);
  });

  test('takes away the lock of a process that is gone', async () => {
    mkdirSync(binFolder, { recursive: true });
    // Larger than any process id of Linux.
    writeFileSync(join(binFolder, 'lock'), `4194305 ${hostname()}`);
    const archive = fakeArchive(GOOD_VERSION);
    const host = await serveHttp((_, response) => response.end(archive));
    try {
      expect(await find([], { downloadBaseUrl: host.url })).toBe(cachedFile);
    } finally {
      await host.close();
    }
    expect(readdirSync(binFolder)).toEqual(['temporal-1.5.1']);
  });

  test.each([
    ['an error status', (): [number, Buffer] => [503, Buffer.alloc(0)], /answered with status 503/],
    ['no archive', (): [number, Buffer] => [200, Buffer.from('<html>')], /tar could not unpack it/],
    ['a CLI that is too old', (): [number, Buffer] => [200, fakeArchive('temporal version 1.0.0')], /1\.0\.0 is older/],
    ['redirects for ever', (): [number, Buffer] => [302, Buffer.alloc(0)], /redirects more than 5 times/],
  ])('leaves nothing behind when %s comes', async (_, answer, message) => {
    const [status, body] = answer();
    const host = await serveHttp((_request, response) => response.writeHead(status, { location: '/again' }).end(body));
    try {
      await expect(find([], { downloadBaseUrl: host.url })).rejects.toThrow(message);
    } finally {
      await host.close();
    }
    expect(readdirSync(binFolder)).toEqual([]);
  });

  test('gives up on a host that takes the connection and then says nothing', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const downloadBaseUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    try {
      const refusal = find([], { downloadBaseUrl, connectTimeoutMs: 200 });
      await expect(refusal).rejects.toThrow(/does not accept the connection within 0\.2 s/);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  });
});

describe('building with Go', () => {
  test('builds the pinned version where the download fails', async () => {
    const [tools, argumentsFile] = [makeFolder(), join(makeFolder(), 'arguments')];
    writeFakeGo(tools, '1.26.8', argumentsFile);
    expect(await find([tools])).toBe(cachedFile);
    expect(readFileSync(argumentsFile, 'utf8')).toMatch(
      /^install .*github\.com\/temporalio\/cli\/cmd\/temporal@v1\.5\.1\n$/,
    );
    expect(lines).toEqual([
      'downloading the Temporal CLI 1.5.1 from 127.0.0.1:1',
      expect.stringMatching(/^the download failed: .*ECONNREFUSED/),
      'building the Temporal CLI 1.5.1 with Go 1.26.8; takes about 2.5 minutes, once',
    ]);
    expect(readdirSync(binFolder)).toEqual(['temporal-1.5.1']);
  });

  test.each([
    ['there is no Go', () => makeFolder(), /no Go 1\.23 or newer on PATH/],
    [
      'Go is too old',
      () => {
        const tools = makeFolder();
        writeFakeGo(tools, '1.22.0', '/dev/null');
        return tools;
      },
      /no Go 1\.23 or newer on PATH/,
    ],
    [
      'the build fails',
      () => {
        const tools = makeFolder();
        writeScript(
          tools,
          'go',
          'echo "go version go1.26.0 linux/amd64"; [ "$1" = version ] || { echo "no network" >&2; exit 1; }',
        );
        return tools;
      },
      /go install failed: .*\s*no network/,
    ],
  ])('says how to get a CLI where %s', async (_, makeTools, message) => {
    const refusal = find([makeTools()]);
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
    await expect(refusal).rejects.toThrow(message);
    await expect(refusal).rejects.toThrow(/the download failed: .*ECONNREFUSED/);
    await expect(refusal).rejects.toThrow(/set BEAMLINE_TEMPORAL_CLI to its file/);
    expect(readdirSync(binFolder)).toEqual([]);
  });

  test('names the cache folder that cannot be made', async () => {
    const file = join(makeFolder(), 'file');
    writeFileSync(file, '');
    const refusal = find([], { env: { BEAMLINE_CACHE_DIR: join(file, 'below') } });
    await expect(refusal).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
    await expect(refusal).rejects.toThrow(/set BEAMLINE_CACHE_DIR/);
  });
});
