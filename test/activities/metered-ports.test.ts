import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ScopedPorts } from '../../src/activities/access/scoped-ports';
import { AttemptPorts } from '../../src/activities/attempt-ports';
import type { Ports } from '../../src/activities/block';
import { CpuShare } from '../../src/activities/cpu-share';
import { meterPorts } from '../../src/activities/metered-ports';
import { createSqlDatabases } from '../../src/activities/ports/configured-databases';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { createHttpClients, type HttpClients } from '../../src/activities/ports/http-clients';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import { StepMeter } from '../../src/activities/step-meter';
import { LoopbackServers } from '../helpers/loopback';

const servers = new LoopbackServers();
let folder: string;
let http: HttpClients;
let blobs: FileBlobStore;
let databases: SqlDatabases;
let shared: Ports;
let ports: Ports;
let meter: StepMeter;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  http = createHttpClients({ allowHosts: ['127.0.0.1'] });
  blobs = await createFileBlobStore({ root: join(folder, 'blobs') });
  databases = createSqlDatabases([{ name: 'test', kind: 'sqlite', file: join(folder, 'test.db') }]);
  meter = new StepMeter();
  shared = new ScopedPorts(meterPorts({ http, blobs, databases })).of(undefined);
  ports = new AttemptPorts(shared, meter);
});
afterEach(async () => {
  await Promise.all([http.close(), databases.close(), servers.close()]);
  blobs.close();
  rmSync(folder, { recursive: true, force: true });
});

const bytes = () => ({ in: meter.bytesIn, out: meter.bytesOut });

async function send(body: string | undefined, read: 'all' | 'nothing'): Promise<void> {
  const server = await servers.http((_, response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync('x'.repeat(5_000)));
  });
  const response = await ports.http.send({
    method: 'POST',
    url: new URL(server.origin),
    headers: {},
    ...(body === undefined ? {} : { body }),
    signal: new AbortController().signal,
    followRedirects: true,
  });
  if (read === 'nothing') response.body.destroy();
  else for await (const _ of response.body);
}

test('bodies of HTTP count as they are sent and as they are decompressed', async () => {
  await send('äöü', 'all');
  expect(bytes()).toEqual({ in: 5_000, out: 6 });
});

test('what nobody reads of an answer hardly counts', async () => {
  await send(undefined, 'nothing');
  expect(meter.bytesOut).toBe(0);
  expect(meter.bytesIn).toBeLessThanOrEqual(5_000);
});

test('contents of blobs count, of bytes and of streams', async () => {
  await ports.blobs.put('acme', 'a', Buffer.alloc(700));
  await ports.blobs.put('acme', 'b', Readable.from([Buffer.alloc(200), Buffer.alloc(100)]));
  await ports.blobs.read('acme', 'a', 1_000);
  await ports.blobs.read('acme', 'none', 1_000);
  expect(bytes()).toEqual({ in: 700, out: 1_000 });
});

test('rows and parameters of SQL count as JSON', async () => {
  const limits = { signal: new AbortController().signal, deadline: Date.now() + 10_000 };
  const database = ports.databases.get('test', 'acme');
  await database.execute({ statement: 'CREATE TABLE t (a TEXT)' }, limits);
  await database.execute({ statement: 'INSERT INTO t VALUES (:a)', parameters: { a: 'xyz' } }, limits);
  await database.query({ statement: 'SELECT a FROM t' }, 10, limits);
  expect(bytes()).toEqual({ in: '[{"a":"xyz"}]'.length, out: '{"a":"xyz"}'.length });
  await database.transaction([{ statement: 'INSERT INTO t VALUES (:a)', parameters: { a: 'more' } }], limits);
  expect(bytes().out).toBe('{"a":"xyz"}{"a":"more"}'.length);
});

test("steps that run at the same time are told apart, and what runs for none is nobody's", async () => {
  const other = new StepMeter();
  const put = async (own: Ports, path: string, size: number): Promise<void> => {
    await own.blobs.put('acme', `${path}1`, Buffer.alloc(size));
    // Long after it began.
    await own.blobs.put('acme', `${path}2`, Buffer.alloc(size));
  };
  await Promise.all([
    put(ports, 'a', 10),
    put(new AttemptPorts(shared, other), 'b', 20),
    put(shared, 'c', 40),
    meter.run(() => put(shared, 'd', 1)),
  ]);
  // What is called in the name of a step is known as its own until it first waits.
  expect([meter.bytesOut, other.bytesOut]).toEqual([21, 40]);
  expect(StepMeter.current()).toBeUndefined();
});

test('the clients stay the same, so that caches keyed by them work', () => {
  expect(new ScopedPorts(meterPorts({ http, blobs, databases })).of(undefined).http).toBeDefined();
  const metered = meterPorts({ http, blobs, databases });
  expect(metered.http.reaching([])).toBe(metered.http.reaching([]));
  const clients = [ports, new AttemptPorts(shared, new StepMeter()), shared].map((each) => AttemptPorts.clientOf(each));
  expect(new Set(clients)).toEqual(new Set([shared.http]));
});

test('CPU time is shared evenly between those that run at the moment', async () => {
  let now = 0;
  const cpu = new CpuShare(() => now);
  const second = new StepMeter();
  const waitFor: (() => void)[] = [];
  const until = () => new Promise<void>((resolve) => waitFor.push(resolve));
  const first = meter.run(() => cpu.charge(until));
  now += 10;
  const both = second.run(() => cpu.charge(until));
  now += 10;
  waitFor[0]?.();
  await first;
  now += 10;
  waitFor[1]?.();
  await both;
  now += 100;
  expect([meter.cpuMs, second.cpuMs]).toEqual([15, 15]);
});

test('who waits for an answer is charged with nothing meanwhile', async () => {
  let now = 0;
  const cpu = new CpuShare(() => now);
  let answer = (): void => undefined;
  const step = meter.run(() =>
    cpu.charge(async () => {
      now += 1;
      await meter.idly(() => {
        now += 2;
        return new Promise<void>((resolve) => {
          answer = resolve;
        });
      });
      now += 4;
    }),
  );
  now += 1_000;
  answer();
  await step;
  expect(meter.cpuMs).toBe(7);
});
