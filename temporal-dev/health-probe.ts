import { connect } from 'node:http2';

const FRONTEND_SERVICE = 'temporal.api.workflowservice.v1.WorkflowService';
const PROBE_TIMEOUT_MS = 1_000;

/** One message of the standard health protocol (grpc.health.v1), field 1 = service, framed for gRPC. */
const REQUEST = frame(Buffer.concat([Buffer.from([0x0a, FRONTEND_SERVICE.length]), Buffer.from(FRONTEND_SERVICE)]));
/** Field 1 = SERVING. */
const SERVING = frame(Buffer.from([0x08, 0x01]));

/**
 * Asks the frontend at `host:port` for its health, in gRPC by hand: nothing but Node is needed. False where nobody
 * listens, nobody answers within a second, or the answer is anything but SERVING. Never throws.
 */
export function isServing(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const finish = (answer: boolean): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(false), PROBE_TIMEOUT_MS);
    session.on('error', () => finish(false));
    const request = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => finish(false));
    request.on('end', () => finish(Buffer.concat(chunks).equals(SERVING)));
    request.end(REQUEST);
  });
}

/** Length-prefixed message: one byte "not compressed", four bytes of length. */
function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
