import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import type { JsonObject } from '../json';
import { httpRequest } from './http-request';

const requestProperties = httpRequest.arguments.properties as JsonObject;

/** `call: http.stream`: a response of any size, written to a blob. */
export const httpStream: BlockSpec = {
  call: 'http.stream',
  type: 'http.stream',
  kind: 'activity',
  summary: 'Streams an HTTP response of any size to a blob',
  description: `Sends a request and writes the answer's body to a blob as it arrives, with constant memory.

- The blob appears whole or not at all: it is renamed into place after the last byte is on disk and the hash is right.
- Reports progress in heartbeats (\`{ bytes, totalBytes }\`), at least every few seconds; cancelling stops it within a second.
- \`sha256\` (hex) is checked before the blob is stored. \`maxBytes\` (default 10 GiB) limits the decoded body.
- Redirects are followed as in \`call: http\` with \`redirect: true\`; the same network rules hold.
- A \`GET\` goes on where the attempt before was cut off, or its worker was lost or asked to end: by \`Range\` and \`If-Range\`, where the
  answer had a strong \`ETag\` (or a \`Last-Modified\` at least a minute older than its \`Date\`) and was not compressed, the worker has the same blob root, and what
  was stored still has its hash. A server that has another content by now, or does not keep to the range, is asked for the whole. Give \`sha256\` where you do not
  trust it to change the \`ETag\` with the content. The output is as of an answer that came at once.
- Else every attempt begins anew; a \`POST\` whose answer was lost is repeated only with \`metadata.idempotent: true\`.`,
  arguments: {
    type: 'object',
    required: ['endpoint', 'to'],
    additionalProperties: false,
    properties: {
      endpoint: requestProperties.endpoint as JsonObject,
      method: { type: 'string', enum: ['get', 'post', 'GET', 'POST'], default: 'get', description: 'GET or POST' },
      headers: requestProperties.headers as JsonObject,
      to: { type: 'string', minLength: 1, description: 'Path of the blob to write' },
      maxBytes: {
        type: 'integer',
        minimum: 1,
        default: 10_737_418_240,
        description: 'Largest body, in bytes, decoded',
      },
      sha256: { type: 'string', pattern: '^[0-9a-fA-F]{64}$', description: 'Expected SHA-256 of the body, hex' },
    },
  },
  output: {
    type: 'object',
    properties: {
      path: { type: 'string' },
      size: { type: 'integer', description: 'Bytes' },
      sha256: { type: 'string', description: 'Hex' },
      statusCode: { type: 'integer' },
      headers: { type: 'object' },
    },
  },
  resources: 'io',
  startToCloseMs: 3_600_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  idempotent: false,
  errors: [...httpRequest.errors, 'BLW_HTTP_CHECKSUM', 'BLW_FS_PATH', 'BLW_FS_IO'],
  example: `- download:
    call: http.stream
    with:
      endpoint: https://example.com/big.bin
      to: downloads/big.bin
      maxBytes: 5000000000
`,
  summaryArguments: ['endpoint.uri', 'to'],
};
