import { createServer } from 'node:http';

/** An HTTP service on loopback that counts what arrives, by path and idempotency key. */
export async function startCountingService() {
  const counts = new Map();
  const server = createServer((request, response) => {
    const key = `${request.url} ${request.headers['idempotency-key']}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    request.resume();
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    reset: () => counts.clear(),
    /** How many different requests came, and how many came again. */
    tally() {
      let repeated = 0;
      for (const count of counts.values()) repeated += count - 1;
      return {
        distinct: counts.size,
        paths: new Set([...counts.keys()].map((key) => key.split(' ')[0])).size,
        repeated,
      };
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
