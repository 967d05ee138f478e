import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import type { JsonObject } from '../json';
import { httpRequest } from './http-request';

/** What stands here as it does there. */
const { endpoint, output, redirect } = httpRequest.arguments.properties as {
  [name in 'endpoint' | 'output' | 'redirect']: { properties: { authentication: JsonObject } };
};

/** `call: openapi`, the standard's own call of an operation that an OpenAPI document describes (OWS dsl-reference, "OpenAPI Call"). */
export const openapi: BlockSpec = {
  call: 'openapi',
  // Not `http.…`: of those the interpreter repeats a lost attempt by the argument `method`, which this call has not.
  type: 'openapi.call',
  kind: 'activity',
  summary: 'Calls an operation that an OpenAPI document describes',
  description: `Fetches the document, finds the operation, checks the parameters against it and sends the request as
[\`http\`](http.md) does: what is said there of output, status, idempotency key, retry, limits and network holds here as well.

- **Document**: OpenAPI 3.0, 3.1 or Swagger 2.0, in JSON (at most 8 MiB) or YAML (within the [limits](../dsl.md#limits) of a flow's
  document); redirects are followed. \`endpoint\` is a URL or \`{ uri, authentication }\`. It is fetched under the same rules as any other URL, within
  15 s, and kept by the worker for 60 s, then asked for by its \`ETag\`. A \`$ref\` reaches only into the document itself: bundle
  one that is spread over several files.
- **Server**: the first that the document names for the operation, its variables at their defaults; relative ones start from the
  document's own URL. Swagger 2.0: \`host\`, \`basePath\` and, of \`schemes\`, https before http. Credentials under
  \`authentication\` go to that server: take documents only from where you would take a URL.
- **Parameters**: \`parameters\` has them by name, wherever they are sent (path, query, header, cookie), in the style that the
  document asks for; one value for a list is a list of one; \`null\` leaves a parameter out. Where two have the same name, write
  \`path.id\` and \`query.id\`. API keys that the operation's \`security\` names are parameters, too.
- **Body**: under \`body\` (Swagger 2.0: the name of the parameter that is \`in: body\`). Without it, names that are no parameters but
  properties of the body's schema make the body, if it is JSON or a form. Swagger's \`formData\` parameters are given by name. Of
  several content types the first of JSON, \`application/x-www-form-urlencoded\`, \`multipart/form-data\`, text and binary is taken.
  A file, and a binary body, is text or \`{ base64, filename, contentType }\`.
- **Checks**: an unknown, missing or ill-typed parameter fails before the request is sent, as
  [\`BLW_ARG_INVALID\`](../errors.md#blw_arg_invalid). Schemas of more than 500 parts are left to the server.
- **Retry**: after an answer, or a lost one, by the operation's method as with \`http\`. Where the worker itself was lost, the method
  is not known: the step is then not repeated, but fails with [\`BLW_OUTCOME_UNKNOWN\`](../errors.md#blw_outcome_unknown). Say
  \`metadata.idempotent: true\` for operations that only read.`,
  arguments: {
    type: 'object',
    required: ['document', 'operationId'],
    additionalProperties: false,
    properties: {
      document: {
        type: 'object',
        required: ['endpoint'],
        additionalProperties: false,
        description: 'Where the OpenAPI document is: an external resource',
        properties: {
          name: { type: 'string', description: 'For readers' },
          endpoint,
        },
      },
      operationId: { type: 'string', minLength: 1, description: 'The operation, as the document names it' },
      parameters: { type: 'object', description: 'Parameters and body by name' },
      authentication: endpoint.properties.authentication,
      output,
      redirect,
    },
  },
  output: { description: 'As `output` says: the content, the response, or the body in base64' },
  resources: 'io',
  startToCloseMs: 30_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  idempotent: false,
  errors: ['BLW_OPENAPI_DOCUMENT', 'BLW_OPENAPI_OPERATION', ...httpRequest.errors],
  example: `- findPets:
    call: openapi
    with:
      document:
        endpoint: https://petstore.swagger.io/v2/swagger.json
      operationId: findPetsByStatus
      parameters:
        status: [available, pending]
`,
  summaryArguments: ['operationId', 'document.endpoint.uri'],
};
