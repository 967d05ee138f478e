/** The service that steps call, in a process of its own. Prints its port. */
import { createServer } from 'node:http';

const server = createServer((_, response) => {
  response.setHeader('content-type', 'application/json');
  response.end('{"ok":true}');
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
process.once('SIGTERM', () => process.exit(0));
