import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Access } from '../../src/activities/access/access';
import { ScopedPorts, scopeSecrets } from '../../src/activities/access/scoped-ports';
import { createSqlDatabases } from '../../src/activities/ports/configured-databases';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import type { HttpRequest } from '../../src/activities/ports/http-client';
import { createHttpClients, type HttpClients } from '../../src/activities/ports/http-clients';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import { failureOf } from '../helpers/block-context';
import { LoopbackServers } from '../helpers/loopback';

const servers = new LoopbackServers();
let folder: string;
let http: HttpClients;
let blobs: FileBlobStore;
let databases: SqlDatabases;
let ports: ScopedPorts;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blw-scoped-'));
  http = createHttpClients({ allowHosts: [] });
  blobs = await createFileBlobStore({ root: join(folder, 'blobs') });
  databases = createSqlDatabases([{ name: 'shop', kind: 'sqlite', file: join(folder, 'shop.db') }]);
  ports = new ScopedPorts({ http, blobs, databases });
});

afterEach(async () => {
  await http.close();
  await databases.close();
  blobs.close();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const access = (scopes: string[], privateHosts: string[] = [], tenant = 'acme'): Access => ({
  tenant,
  scopes,
  privateHosts,
});
const limits = () => ({ signal: new AbortController().signal, deadline: Date.now() + 10_000 });
const request = (url: string, more: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  url: new URL(url),
  headers: {},
  signal: new AbortController().signal,
  followRedirects: true,
  ...more,
});
const denied = async (promise: Promise<unknown>) => {
  const { data } = await failureOf(promise);
  return [data.code, (data.data as { scope?: string } | undefined)?.scope];
};

test('a request without its scope makes no connection', async () => {
  const server = await servers.http((_, response) => response.end('ok'));
  const host = `127.0.0.1:${server.port}`;
  const { http: client } = ports.of(access([`http:POST:127.0.0.1`, 'http:*:localhost'], [host]));
  expect(await denied(client.send(request(server.origin)))).toEqual(['BLW_SCOPE_DENIED', `http:GET:${host}`]);
  expect(server.connections()).toBe(0);
  const answer = await client.send(request(server.origin, { method: 'POST' }));
  answer.body.destroy();
  expect(server.connections()).toBe(1);
});

test('a redirect is followed only where the scope for its target is there', async () => {
  const target = await servers.http((_, response) => response.end('reached'));
  const first = await servers.http((_, response) => response.writeHead(302, { location: target.origin }).end());
  const hosts = [`127.0.0.1:${first.port}`, `127.0.0.1:${target.port}`];
  const { http: client } = ports.of(access([`http:GET:${hosts[0]}`], hosts));
  expect(await denied(client.send(request(first.origin)))).toEqual(['BLW_SCOPE_DENIED', `http:GET:${hosts[1]}`]);
  expect([first.connections(), target.connections()]).toEqual([1, 0]);
  const { http: both } = ports.of(
    access(
      hosts.map((host) => `http:GET:${host}`),
      hosts,
    ),
  );
  (await both.send(request(first.origin))).body.destroy();
  expect(target.connections()).toBe(1);
});

test('a private host is reached only by whom it is opened for, also where a connection to it is kept alive', async () => {
  const server = await servers.http((_, response) => response.end('ok'));
  // A name that a resolver leads to a private address: only the connection can tell.
  await http.close();
  http = createHttpClients({ allowHosts: [], resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
  ports = new ScopedPorts({ http, blobs, databases });
  const url = `http://inventory.example:${server.port}/`;
  const opened = ports.of(access(['http:*:*'], [`inventory.example:${server.port}`])).http;
  for await (const _ of (await opened.send(request(url))).body);
  const others = ports.of(access(['http:*:*'], [], 'other')).http;
  expect((await failureOf(others.send(request(url)))).data.code).toBe('BLW_HTTP_HOST_DENIED');
  expect([server.requests.length, server.connections()]).toEqual([1, 1]);
  for await (const _ of (await opened.send(request(url))).body);
  expect(server.requests).toHaveLength(2);
});

test('blobs are read and written only where the scope says', async () => {
  const own = ports.of(access(['blob:read:in/*', 'blob:write:out/*'])).blobs;
  await blobs.put('acme', 'in/a', Buffer.from('a'));
  await blobs.put('acme', 'secret', Buffer.from('s'));
  expect(await denied(own.put('acme', 'in/a', Buffer.from('x')))).toEqual(['BLW_SCOPE_DENIED', 'blob:write:in/a']);
  expect(await denied(own.read('acme', 'secret', 100))).toEqual(['BLW_SCOPE_DENIED', 'blob:read:secret']);
  expect(await denied(own.stat('acme', 'out/b'))).toEqual(['BLW_SCOPE_DENIED', 'blob:read:out/b']);
  expect(await denied(own.delete('acme', 'secret'))).toEqual(['BLW_SCOPE_DENIED', 'blob:write:secret']);
  expect(await denied(own.list('acme', { prefix: '', limit: 10 }))).toEqual(['BLW_SCOPE_DENIED', 'blob:read:*']);
  expect((await blobs.list('acme', { prefix: '', limit: 10 })).entries.map(({ path }) => path)).toEqual([
    'in/a',
    'secret',
  ]);

  await own.put('acme', 'out/b', Buffer.from('b'));
  expect((await own.list('acme', { prefix: 'in/', limit: 10 })).entries).toHaveLength(1);
  expect((await own.read('acme', 'in/a', 100))?.content.toString()).toBe('a');
  // What is no path is refused as that, wherever it would lead.
  expect((await failureOf(own.read('acme', 'in/../secret', 100))).data.code).toBe('BLW_FS_PATH');
});

test('who may only read a database writes nothing, and learns of no other', async () => {
  await databases.get('shop', 'acme').execute({ statement: 'CREATE TABLE t (n INTEGER)' }, limits());
  const reader = ports.of(access(['sql:read:shop'])).databases.get('shop', 'acme');
  expect((await reader.query({ statement: 'SELECT count(*) AS n FROM t' }, 10, limits())).rows).toEqual([{ n: 0 }]);
  const insert = { statement: 'INSERT INTO t VALUES (1)' };
  expect(await denied(reader.execute(insert, limits()))).toEqual(['BLW_SCOPE_DENIED', 'sql:write:shop']);
  expect(await denied(reader.transaction([insert], limits()))).toEqual(['BLW_SCOPE_DENIED', 'sql:write:shop']);
  for (const [scope, code] of [
    ['sql:read:shop', 'BLW_SCOPE_DENIED'],
    ['sql:read:*', 'BLW_SQL_DATABASE_UNKNOWN'],
  ] as const) {
    const failure = await failureOf((async () => ports.of(access([scope])).databases.get('other', 'acme'))());
    expect([failure.data.code, failure.message]).toEqual([code, expect.not.stringContaining('shop')]);
    const isUnknown = code === 'BLW_SQL_DATABASE_UNKNOWN';
    expect(failure.message.includes('or --database acme/other=URL for this one')).toBe(isUnknown);
  }
  const foreign = await failureOf(
    (async () => ports.of(access(['sql:read:*'])).databases.get('globex/shop', 'acme'))(),
  );
  expect(foreign.message).toContain('database "globex/shop": names have no "/"; a database of the flow');

  const writer = ports.of(access(['sql:write:shop'])).databases.get('shop', 'acme');
  expect(await writer.execute(insert, limits())).toMatchObject({ rowsAffected: 1 });
  expect((await reader.query({ statement: 'SELECT count(*) AS n FROM t' }, 10, limits())).rows).toEqual([{ n: 1 }]);
});

test('a secret without its scope is denied whether it is there or not', async () => {
  const store = scopeSecrets({ get: async (name) => (name === 'a' ? 'value' : undefined) }, access(['secret:a']));
  expect(await store.get('a', 'acme')).toBe('value');
  expect(await denied(store.get('b', 'acme'))).toEqual(['BLW_SCOPE_DENIED', 'secret:b']);
  const none = scopeSecrets({ get: async () => 'value' }, access([]));
  expect(await denied(none.get('a', 'acme'))).toEqual(['BLW_SCOPE_DENIED', 'secret:a']);
});

test('the same access gets the same ports, so that tokens and documents are kept', () => {
  expect(ports.of(access(['http:*:*']))).toBe(ports.of(access(['http:*:*'])));
  expect(ports.of(access(['http:*:*']))).not.toBe(ports.of(access(['http:*:*'], [], 'other')));
  const first = ports.of(access(['secret:0']));
  for (let n = 1; n <= 1_000; n += 1) ports.of(access([`secret:${n}`]));
  expect(ports.of(access(['secret:0']))).not.toBe(first);
});
