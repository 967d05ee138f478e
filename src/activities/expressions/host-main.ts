/**
 * Entry of the process in which expressions are evaluated; started by expression-host.ts, never by hand. Its threads do the
 * work. The process around them is there because V8 ends a whole process where one allocation is beyond a thread's heap.
 */
import { join } from 'node:path';
import { loadJq } from './jq-binary';
import type { EngineLimits, HostReply, HostRequest } from './protocol';
import { ThreadLanes } from './thread-lanes';

const limits = JSON.parse(process.argv[2] ?? '{}') as EngineLimits;
const lanes = loadJq().then((jq) => new ThreadLanes({ entry: join(__dirname, 'thread-main.js'), jq, limits }));

async function receive(request: HostRequest): Promise<void> {
  const threads = await lanes;
  if (request.type === 'close') {
    await threads.close();
    process.disconnect();
    return;
  }
  const { id, job } = request;
  const outcome = await threads.run(job, () => reply({ type: 'began', id }));
  reply({ type: 'ended', id, outcome });
}

function reply(message: HostReply): void {
  if (process.connected) process.send?.(message);
}

// A signal to the whole group of processes is left to the parent, which closes this one when it is done.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.once('disconnect', () => process.exit(0));
process.on('message', (request: HostRequest) => {
  receive(request).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});
