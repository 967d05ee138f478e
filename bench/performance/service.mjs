/** The service that steps call, in a process of its own; `/100` answers after 100 ms. Prints its port. */
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  const pauseMs = Number(request.url.slice(1));
  if (pauseMs > 0) setTimeout(() => response.end('{"ok":true}'), pauseMs);
  else response.end('{"ok":true}');
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
process.once('SIGTERM', () => process.exit(0));
