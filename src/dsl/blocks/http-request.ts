import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import { AUTHENTICATION_SCHEMA } from './authentication';

const HTTP_METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'].flatMap((name) => [
  name,
  name.toUpperCase(),
]);

/** `call: http`, the standard's own HTTP call (OWS dsl-reference, "HTTP Call"). */
export const httpRequest: BlockSpec = {
  call: 'http',
  type: 'http.request',
  kind: 'activity',
  summary: 'Sends an HTTP request and returns the answer',
  description: `Sends one request and reads the whole answer.

- **Endpoint**: an absolute \`http\` or \`https\` URL, or \`{ uri, authentication }\`. \`{name}\` in the URL is replaced by the
  property \`name\` of the task's input, percent-encoded.
- **Body**: a string is sent as it is (\`text/plain\` unless a \`content-type\` header says otherwise); \`{ base64: … }\` with a
  \`content-type\` header that is neither JSON nor text is sent as bytes; anything else is sent as JSON.
- **Output**: \`content\` (default) is the body: parsed when the answer is JSON, text when it is text, base64 otherwise;
  \`response\` is \`{ request, statusCode, headers, content }\`, where \`request\` (method, uri, headers) has neither the query nor
  credentials, which may be secret; \`raw\` is the body in base64.
- **Status**: 200–299 is success. With \`redirect: false\` (default) a 3xx is an error; with \`redirect: true\` redirects are
  followed, at most 10, credentials are dropped when the origin changes, and 200–399 is success.
- **Idempotency**: \`POST\` and \`PATCH\` carry the step's key as \`Idempotency-Key\`, the same on every attempt, unless the step
  sets that header itself.
- **Authentication**: \`basic\`, \`bearer\`, \`digest\`, \`oauth2\` or \`oidc\`; see [secrets and
  authentication](../secrets-and-authentication.md). Credentials that stand in the document or in data stay readable in
  Temporal's history; take them from secrets.
- **Retry**: an unreachable server, 408, 425, 429 and 503 are retried (\`Retry-After\` is honoured); other 5xx and a lost answer
  only for idempotent methods or with \`metadata.idempotent: true\`.
- **Limits**: the step's timeout holds for the whole call; the answer may have 100 MiB (decompressed; 100 MiB of JSON as the step's output), its
  JSON 2.5 million objects and arrays, 12 million values, 500,000 different names and 500 levels. Larger: \`http.stream\`.
- **Network**: private, loopback and link-local addresses are refused unless the worker allows the host (\`--allow-host\`, or \`privateHosts\` of the tenant's policy).`,
  arguments: {
    type: 'object',
    required: ['method', 'endpoint'],
    additionalProperties: false,
    properties: {
      method: {
        type: 'string',
        enum: HTTP_METHODS,
        description: 'GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, all upper or all lower case',
      },
      endpoint: {
        type: 'object',
        required: ['uri'],
        additionalProperties: false,
        description: 'URL as text, or an object with `uri` and `authentication`',
        properties: {
          uri: { type: 'string', minLength: 1, description: 'Absolute http or https URL' },
          authentication: AUTHENTICATION_SCHEMA,
        },
      },
      headers: {
        type: 'object',
        additionalProperties: { type: ['string', 'number', 'boolean'] },
        description: 'Request headers',
      },
      query: {
        type: 'object',
        additionalProperties: { type: ['string', 'number', 'boolean', 'array', 'null'] },
        description: 'Query parameters added to the URL; an array repeats the name, null leaves it out',
      },
      body: { description: 'Request body: text, JSON, or `{ base64 }`' },
      output: {
        type: 'string',
        enum: ['content', 'response', 'raw'],
        default: 'content',
        description: 'Form of the output',
      },
      redirect: { type: 'boolean', default: false, description: 'Follow redirects instead of failing on 3xx' },
    },
  },
  output: { description: 'As `output` says: the content, the response, or the body in base64' },
  resources: 'io',
  startToCloseMs: 30_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  idempotent: false,
  errors: [
    'BLW_HTTP_URL',
    'BLW_HTTP_HOST_DENIED',
    'BLW_HTTP_STATUS',
    'BLW_HTTP_UNREACHABLE',
    'BLW_HTTP_OUTCOME_UNKNOWN',
    'BLW_HTTP_TIMEOUT',
    'BLW_HTTP_TOO_LARGE',
    'BLW_HTTP_REDIRECT',
    'BLW_HTTP_CONTENT',
    'BLW_AUTH_FAILED',
  ],
  example: `- getOrder:
    call: http
    with:
      method: get
      endpoint: https://api.example.com/orders/{orderId}
      headers:
        accept: application/json
`,
  summaryArguments: ['method', 'endpoint.uri'],
};
