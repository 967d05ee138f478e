import { once } from 'node:events';
import { createServer } from 'node:net';
import { FlowError } from '../../../src/dsl/errors';
import { startTelemetryServer, type TelemetryServer } from '../../../src/worker/telemetry/telemetry-server';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const failures: string[] = [];
let server: TelemetryServer;

beforeAll(async () => {
  server = await startTelemetryServer({
    endpoint: LOOPBACK,
    paths: {
      '/metrics': () => ({ status: 200, contentType: 'text/plain', body: 'up 1\n' }),
      '/readyz': async () => {
        throw new Error('secret of the inside');
      },
    },
    onError: (path, error) => failures.push(`${path}: ${String(error)}`),
  });
});

afterAll(() => server.close());

it.each([
  ['GET', '/metrics', 200, 'up 1\n'],
  ['GET', '/metrics?name=x', 200, 'up 1\n'],
  ['HEAD', '/metrics', 200, ''],
  ['POST', '/metrics', 405, 'only GET and HEAD\n'],
  ['GET', '/', 404, 'not found; there are /metrics, /readyz\n'],
  ['GET', '/__proto__', 404, 'not found; there are /metrics, /readyz\n'],
])('answers %s %s with %i', async (method, path, status, body) => {
  const response = await fetch(`${server.url}${path}`, { method });
  expect({ status: response.status, body: await response.text() }).toEqual({ status, body });
});

it('keeps the reason of a failure to the log', async () => {
  const response = await fetch(`${server.url}/readyz`);
  expect(response.status).toBe(500);
  expect(await response.text()).toBe('failed; the log of the worker says why\n');
  expect(failures).toEqual(['/readyz: Error: secret of the inside']);
});

it('says that its port is in use', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const refused = startTelemetryServer({ endpoint: { ...LOOPBACK, port }, paths: {}, onError: () => undefined });
  await expect(refused).rejects.toThrow(FlowError);
  await expect(refused).rejects.toThrow(
    `--prometheus-endpoint 127.0.0.1:${port}: cannot be listened on (the port is in use)`,
  );
  other.close();
});
