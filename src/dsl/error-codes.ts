/**
 * The standard error types of OWS (dsl-reference, "Standard Error Types"); the last segment of the type's URI.
 */
export type StandardErrorType =
  | 'configuration'
  | 'validation'
  | 'expression'
  | 'authentication'
  | 'authorization'
  | 'timeout'
  | 'communication'
  | 'runtime';

/** What a code stands for: one row of the table in docs/errors.md, which is generated from here. */
export interface ErrorCodeInfo {
  /** OWS error type the code belongs to. */
  readonly type: StandardErrorType;
  /** HTTP-like status that OWS gives the type, or a better fitting one. */
  readonly status: number;
  /** Short summary, the error's `title`. */
  readonly title: string;
  /** What a person does about it. */
  readonly help: string;
}

const define = <T extends Record<string, ErrorCodeInfo>>(table: T): Readonly<T> => table;

/**
 * Every stable code of the project. Codes are only ever added: scripts and `catch` filters rely on them.
 */
export const ERROR_CODES = define({
  // Documents: found by validation, before anything starts.
  BLW_DOC_SYNTAX: {
    type: 'validation',
    status: 400,
    title: 'The document is not well-formed YAML or JSON',
    help: 'Mend the text at the position that is named.',
  },
  BLW_DOC_TOO_LARGE: {
    type: 'validation',
    status: 400,
    title: 'The document is too large or nested too deeply',
    help: 'Split the flow, or move data out of it.',
  },
  BLW_KEY_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: 'A key is not known here',
    help: 'Remove it, or take the name that the message proposes.',
  },
  BLW_KEY_MISSING: {
    type: 'validation',
    status: 400,
    title: 'A required key is missing',
    help: 'Add the key that the message names.',
  },
  BLW_VALUE_INVALID: {
    type: 'validation',
    status: 400,
    title: 'A value has the wrong type or form',
    help: 'The message says what was expected.',
  },
  BLW_TASK_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: 'A task has no known kind, or more than one',
    help: 'Give the task exactly one of call, do, for, fork, raise, run, set, switch, try, wait.',
  },
  BLW_BLOCK_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: 'A call names a block that does not exist',
    help: 'Take a block from the table in docs/blocks.',
  },
  BLW_ARG_INVALID: {
    type: 'validation',
    status: 400,
    title: "A block's argument is missing, unknown or of the wrong form",
    help: 'Compare with the page of the block in docs/blocks.',
  },
  BLW_NAME_DUPLICATE: {
    type: 'validation',
    status: 400,
    title: 'Two steps of one list have the same name',
    help: 'Rename one of them; names are how `then` and `steps` refer to steps.',
  },
  BLW_THEN_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: '`then` points to a step that is not in the same list',
    help: 'Name a step of the same list, or continue, exit or end.',
  },
  BLW_REF_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: 'A name refers to nothing that `use` defines',
    help: 'Define it under `use`, or correct the name.',
  },
  BLW_SECRET_PLACE: {
    type: 'validation',
    status: 400,
    title: 'A secret stands where it cannot be used',
    help: 'Use it under `with` or in `input.from` of a call, as it is or joined to text: its value is put in when the step runs.',
  },
  BLW_STEP_UNKNOWN: {
    type: 'validation',
    status: 400,
    title: '`steps` refers to a step that is not in scope',
    help: 'Only earlier steps of the same list and of the lists around it are in scope.',
  },
  BLW_EXPR_SYNTAX: {
    type: 'validation',
    status: 400,
    title: 'An expression does not parse',
    help: 'Mend the expression at the position that is named.',
  },
  BLW_EXPR_LANGUAGE: {
    type: 'validation',
    status: 400,
    title: 'The expression language is not supported',
    help: 'Set `evaluate.language` to `cel`, `jq` or `jsonata`; without it a document is in jq.',
  },
  BLW_SCHEMA_INVALID: {
    type: 'validation',
    status: 400,
    title: 'A JSON Schema in the document is not valid',
    help: 'Mend the schema; drafts 7 and 2020-12 are understood.',
  },
  BLW_DURATION_INVALID: {
    type: 'validation',
    status: 400,
    title: 'A duration is not valid',
    help: 'Write ISO 8601 (PT1M30S) or an object (minutes: 1, seconds: 30).',
  },
  BLW_UNSUPPORTED: {
    type: 'validation',
    status: 400,
    title: 'The document uses something that is not supported yet',
    help: 'See docs/dsl.md for what is supported.',
  },
  // Starting a flow.
  BLW_START_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The start input of runFlow is not valid',
    help: 'Send one JSON object {"flow": …, "input": …, "tenant": "…"}; see docs/starting-flows.md.',
  },
  BLW_FLOW_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The flow document is not valid',
    help: 'Run `beamline validate` on it; all problems are listed.',
  },
  BLW_FLOW_UNKNOWN: {
    type: 'configuration',
    status: 404,
    title: 'There is no flow of that name and version',
    help: 'Look at the catalog of the worker: `beamline validate --catalog DIR` lists what is in it; see docs/catalog.md.',
  },
  BLW_FUNCTION_UNKNOWN: {
    type: 'configuration',
    status: 404,
    title: 'There is no function of that name and version',
    help: 'A function stands in functions/<name>/<version>/function.yaml of its catalog; see docs/catalog.md.',
  },
  BLW_FUNCTION_RECURSIVE: {
    type: 'validation',
    status: 400,
    title: 'A function calls itself, over others or directly',
    help: 'Repeat with `for`, or make it a flow of its own and use run.workflow.',
  },
  BLW_CATALOG_INVALID: {
    type: 'configuration',
    status: 409,
    title: 'A file of the catalog is not what it should be',
    help: 'The message names the file; `beamline validate --catalog DIR` lists all problems.',
  },
  BLW_CATALOG_DENIED: {
    type: 'authorization',
    status: 403,
    title: 'The catalog lies outside of what the worker may read',
    help: 'A worker reads its own catalog folder only (--catalog); put the catalog below it.',
  },
  BLW_FLOW_DEPTH: {
    type: 'runtime',
    status: 500,
    title: 'Flows run each other too many levels deep',
    help: 'Look for flows that run each other without an end; at most 20 levels are allowed.',
  },
  BLW_DATA_INVALID: {
    type: 'validation',
    status: 400,
    title: 'Data does not match its JSON Schema',
    help: 'Compare the data with the schema at the place that is named.',
  },
  // Running.
  BLW_EXPR_FAILED: {
    type: 'expression',
    status: 400,
    title: 'An expression failed',
    help: 'Look at the expression and the data it met; in CEL a.?b reads a field that may be absent.',
  },
  BLW_STEP_LIMIT: {
    type: 'runtime',
    status: 500,
    title: 'The flow ran more steps than one run may',
    help: 'Split the flow, or look for a loop that does not end.',
  },
  BLW_LOOP_FAILED: {
    type: 'runtime',
    status: 500,
    title: 'More iterations of a loop failed than it tolerates',
    help: 'The error carries what the first of them failed with; raise metadata.toleratedFailures, or mend the items.',
  },
  BLW_COMPENSATION_FAILED: {
    type: 'runtime',
    status: 500,
    title: 'A cancelled flow could not undo all its steps',
    help: 'The error lists the steps and what their compensations failed with; undo them by hand.',
  },
  BLW_STEP_TIMEOUT: {
    type: 'timeout',
    status: 408,
    title: 'A step or the flow took longer than its timeout',
    help: 'Look at why the work is slow, or why no worker was free for it (`beamline top`), or raise `timeout`.',
  },
  BLW_STEP_STALLED: {
    type: 'timeout',
    status: 408,
    title: 'The worker that ran the step stopped reporting',
    help: 'Look at the worker: it was ended, or stalled, on every attempt of the step.',
  },
  BLW_STEP_OUTDATED: {
    type: 'timeout',
    status: 408,
    title: 'An attempt came too late to begin its effect, and did nothing',
    help: 'Temporal has given it up, or could not be asked: the worker stood still, or was cut off. It is retried; look at the worker where that happens often.',
  },
  BLW_OUTCOME_UNKNOWN: {
    type: 'runtime',
    status: 500,
    title: 'It is not known whether the step took effect, and it is not repeated',
    help: 'Check where the effect would be; where it is missing, run the step again. Set metadata.idempotent: true where doing it twice is harmless.',
  },
  BLW_RESULT_TOO_LARGE: {
    type: 'runtime',
    status: 500,
    title: 'A value is too large for a flow',
    help: 'Values have at most 100 MiB of JSON: write larger data to a blob (http.stream, fs.put) and pass its path.',
  },
  // Large payloads: see docs/large-payloads.md.
  BLW_PAYLOAD_MISSING: {
    type: 'runtime',
    status: 500,
    title: 'The content of a large payload is not in the payload store',
    help: 'Use the blob root of the workers (--blob-root). Was it deleted, restore it; keep content longer (--payload-retention-days).',
  },
  BLW_PAYLOAD_DAMAGED: {
    type: 'runtime',
    status: 500,
    title: 'The content of a large payload is not as it was written',
    help: 'Restore the file that is named from a backup, and look at the disk.',
  },
  BLW_PAYLOAD_DENIED: {
    type: 'authorization',
    status: 403,
    title:
      'A payload was not made for this flow: a claim of another store or flow, or encrypted for another tenant or flow',
    help: 'Send the data itself, with a client that uses the blob root and the encryption keys of the workers.',
  },
  BLW_CODEC_REQUEST: {
    type: 'validation',
    status: 400,
    title: 'The codec server cannot do what a request asks for',
    help: 'POST to /decode, /TENANT/decode or /TENANT/encode, as the Temporal UI and CLI do; see docs/encryption.md.',
  },
  BLW_PAYLOAD_KEY: {
    type: 'runtime',
    status: 503,
    title: 'A payload is encrypted with a key that is not there',
    help: 'Give the worker or the command the key file that has the key (--encryption-keys). Flows wait and go on.',
  },
  BLW_PAYLOAD_TOO_LARGE: {
    type: 'validation',
    status: 413,
    title: 'A payload is larger than 100 MiB',
    help: 'Write the data to a blob and pass its path.',
  },
  BLW_PAYLOAD_STORE: {
    type: 'runtime',
    status: 503,
    title: 'The payload store cannot be used',
    help: 'Look at the folder `payloads` in the blob root: space, permissions, whether it is mounted. Flows wait and go on.',
  },
  BLW_QUOTA_WAIT: {
    type: 'runtime',
    status: 429,
    title: 'The tenant is over a quota',
    help: 'Flows wait for it by themselves; only one that began before there were quotas gets this, and tries again.',
  },
  BLW_QUOTA_NEVER: {
    type: 'runtime',
    status: 413,
    title: 'It does not fit into the quota, however long it waits',
    help: 'Store less, delete blobs, or ask the operator for a higher quota.',
  },
  BLW_BLOCK_CRASHED: {
    type: 'runtime',
    status: 500,
    title: 'The process that ran the block ended unexpectedly',
    help: 'Often memory: raise --max-memory-mb or give the step less to do.',
  },
  BLW_BLOCK_FAILED: {
    type: 'runtime',
    status: 500,
    title: 'A block failed in a way that it did not expect',
    help: 'This is a defect of the block; report it with the log line of the worker.',
  },
  // Scripts: see docs/scripts.md.
  BLW_SCRIPT_SYNTAX: {
    type: 'validation',
    status: 400,
    title: 'A script does not compile',
    help: 'Mend the script at the line that is named; scripts are ES2023, and that of call: script.run is the body of a function.',
  },
  BLW_SCRIPT_FAILED: {
    type: 'runtime',
    status: 500,
    title: 'A script threw an error, or ended with an exit code other than 0',
    help: 'Look at name, message and line of the error, and at what the script wrote last (`stdout` and `stderr` under its `data`). `return: code` or `all` take an exit code for a result.',
  },
  BLW_SCRIPT_TIMEOUT: {
    type: 'timeout',
    status: 408,
    title: 'A script used up its CPU time',
    help: 'Raise `timeout` of call: script.run (at most 5 minutes), or give the script less to do.',
  },
  BLW_SCRIPT_MEMORY: {
    type: 'runtime',
    status: 500,
    title: 'A script used up its memory',
    help: "Give it less at a time, or let an administrator raise --script-memory-mb or the tenant's quota memoryMb.",
  },
  BLW_SCRIPT_OUTPUT: {
    type: 'runtime',
    status: 500,
    title: 'What a script takes or gives is too large, or nested too deeply',
    help: 'Input and result have at most 4 MiB of JSON, standard output and error 1 MiB each: pass larger data as blobs.',
  },
  BLW_SCRIPT_ISOLATION: {
    type: 'configuration',
    status: 503,
    title: 'The worker runs scripts only isolated by the operating system, which is not there',
    help: 'Install bubblewrap where the worker runs, or start it with --script-isolation auto. The log of the worker says why it does not work.',
  },
  BLW_DEAD_LETTER_UNKNOWN: {
    type: 'validation',
    status: 404,
    title: 'There is no such dead letter',
    help: 'See what waits with `beamline dlq list` and `beamline dlq show FLOW`; somebody may have resolved it meanwhile.',
  },
  BLW_REDRIVE_REFUSED: {
    type: 'runtime',
    status: 409,
    title: 'The flow cannot go on from its failed step',
    help: 'The message says why. Mend what it names and start the flow again.',
  },
  BLW_RESOLUTION_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The resolution of a dead letter is not valid',
    help: 'The message says what is wrong and what was expected; docs/dead-letters.md shows what each action takes.',
  },
  BLW_CANCELLED: {
    type: 'runtime',
    status: 499,
    title: 'The step was cancelled',
    help: 'Nothing to do: the flow or its branch was cancelled.',
  },
  // Secrets and authentication.
  BLW_SCOPE_DENIED: {
    type: 'authorization',
    status: 403,
    title: 'A scope is missing',
    help: "Ask the operator for the scope that the message names: in the tenant's policy, or in the token.",
  },
  BLW_TENANT_DENIED: {
    type: 'authorization',
    status: 403,
    title: 'The tenant may not do this here',
    help: "The policy file has no such tenant, or the token is another tenant's. Check `tenant` and the token.",
  },
  BLW_POLICY_INVALID: {
    type: 'configuration',
    status: 400,
    title: 'The policy file is not valid',
    help: 'Mend what the message names; `beamline policy check FILE` lists all problems. A worker that runs keeps the policy before.',
  },
  BLW_TOKEN_REQUIRED: {
    type: 'authentication',
    status: 401,
    title: 'A token is needed',
    help: 'Start with `beamline run --token-file FILE`, or seal the token with `beamline token seal` and send it as `token`; see docs/identity.md.',
  },
  BLW_TOKEN_INVALID: {
    type: 'authentication',
    status: 401,
    title: 'The token cannot be accepted',
    help: 'The message says which check failed: signature, issuer, audience, expiry, tenant, or what it was sealed for.',
  },
  BLW_IDENTITY_UNAVAILABLE: {
    type: 'communication',
    status: 503,
    title: 'Whose token or grant it is cannot be checked at the moment',
    help: "The keys of the token's issuer, or Temporal, cannot be reached from the worker. Look at its log; start again later.",
  },
  BLW_CALLER_DENIED: {
    type: 'authorization',
    status: 403,
    title: "Only the worker's own workflows may call this",
    help: 'Start a flow: workflow type runFlow on the task queue of the pool io. See docs/identity.md.',
  },
  BLW_SECRET_UNAVAILABLE: {
    type: 'authorization',
    status: 403,
    title: 'A secret is not there, or not for this tenant',
    help: 'Give it to the worker with `--secret NAME=env:VARIABLE` or `--secret NAME=file:PATH`.',
  },
  BLW_AUTH_FAILED: {
    type: 'authentication',
    status: 401,
    title: 'The worker could not authenticate',
    help: 'The message has what the authorization server or the service answered: check authority, client, grant and credentials.',
  },
  // HTTP.
  BLW_HTTP_URL: {
    type: 'configuration',
    status: 400,
    title: 'The URL of an HTTP call is not valid',
    help: 'Write an absolute http or https URL without credentials in it.',
  },
  BLW_HTTP_HOST_DENIED: {
    type: 'authorization',
    status: 403,
    title: 'The host may not be called',
    help: 'Private and loopback addresses are refused. The operator allows one with --allow-host HOST[:PORT] for all, or in the policy for one tenant with privateHosts: [HOST:PORT].',
  },
  BLW_HTTP_STATUS: {
    type: 'communication',
    status: 500,
    title: 'The server answered with an error status',
    help: 'The error carries the status and the beginning of the answer.',
  },
  BLW_HTTP_UNREACHABLE: {
    type: 'communication',
    status: 503,
    title: 'The server could not be reached',
    help: 'Check name, port, TLS and network; the step was not sent.',
  },
  BLW_HTTP_OUTCOME_UNKNOWN: {
    type: 'communication',
    status: 502,
    title: 'The request was sent, the answer was lost',
    help: 'Check on the server whether it took effect; set metadata.idempotent: true if it honours Idempotency-Key.',
  },
  BLW_HTTP_TIMEOUT: {
    type: 'timeout',
    status: 408,
    title: 'The HTTP call took longer than allowed',
    help: 'Raise the timeout of the step, or look at the server.',
  },
  BLW_HTTP_TOO_LARGE: {
    type: 'communication',
    status: 413,
    title: 'The response is larger than allowed',
    help: 'Use http.stream to write it to a blob.',
  },
  BLW_HTTP_REDIRECT: {
    type: 'communication',
    status: 508,
    title: 'A redirect cannot be followed',
    help: 'Too many redirects, or one without a usable location.',
  },
  BLW_HTTP_CONTENT: {
    type: 'communication',
    status: 502,
    title: 'The response is not what its content type promised',
    help: 'Use `output: raw` to get the bytes as they came.',
  },
  BLW_HTTP_CHECKSUM: {
    type: 'communication',
    status: 502,
    title: 'The downloaded bytes do not have the expected SHA-256',
    help: 'Check the expected hash; nothing was stored.',
  },
  // OpenAPI.
  BLW_OPENAPI_DOCUMENT: {
    type: 'configuration',
    status: 400,
    title: 'The OpenAPI document cannot be used',
    help: 'Give the URL of an OpenAPI 3.0, 3.1 or Swagger 2.0 document, in one file of JSON or YAML.',
  },
  BLW_OPENAPI_OPERATION: {
    type: 'configuration',
    status: 400,
    title: 'The OpenAPI document has no such operation, or it cannot be called',
    help: 'Compare operationId with the document; call what it cannot describe with `call: http`.',
  },
  // Blobs.
  BLW_FS_PATH: {
    type: 'validation',
    status: 400,
    title: 'A blob path is not valid',
    help: 'Relative, segments split by /, no . or .. segment, at most 1,024 bytes.',
  },
  BLW_FS_NOT_FOUND: {
    type: 'runtime',
    status: 404,
    title: 'The blob does not exist',
    help: 'Check the path, or use ifMissing: ignore where the block has it.',
  },
  BLW_FS_PRECONDITION: {
    type: 'runtime',
    status: 412,
    title: 'The blob is not the one that was expected',
    help: 'Somebody else wrote it: read it again and decide.',
  },
  BLW_FS_CONTENT: {
    type: 'validation',
    status: 422,
    title: 'The blob is not what it was asked as',
    help: 'It is not UTF-8 text or JSON; use as: base64.',
  },
  BLW_FS_TOO_LARGE: {
    type: 'runtime',
    status: 413,
    title: 'The blob is too large to be put into the flow',
    help: 'Pass its path instead of its content.',
  },
  BLW_FS_IO: {
    type: 'runtime',
    status: 500,
    title: 'The blob store failed',
    help: 'Look at the disk of the worker: space, permissions, health.',
  },
  // SQL.
  BLW_SQL_DATABASE_UNKNOWN: {
    type: 'configuration',
    status: 400,
    title: 'The database is not configured',
    help: 'The operator adds it with --database NAME=sqlite:FILE or NAME=postgres://…, for one tenant alone with TENANT/NAME=…',
  },
  BLW_SQL_STATEMENT: {
    type: 'validation',
    status: 400,
    title: 'The database refused the statement',
    help: 'Mend the SQL; the message is the database’s own.',
  },
  BLW_SQL_PARAMETERS: {
    type: 'validation',
    status: 400,
    title: 'The parameters do not fit the statement',
    help: 'Give an object for :name, an array for ?, one value for each.',
  },
  BLW_SQL_CONSTRAINT: {
    type: 'runtime',
    status: 409,
    title: 'A constraint of the database was violated',
    help: 'The data conflicts with what is there; nothing was written.',
  },
  BLW_SQL_UNAVAILABLE: {
    type: 'communication',
    status: 503,
    title: 'The database is busy or cannot be reached',
    help: 'Check that it runs and that its address is right; the step is retried.',
  },
  BLW_SQL_TIMEOUT: {
    type: 'timeout',
    status: 408,
    title: 'The statement took longer than allowed and was stopped',
    help: 'Raise the timeout of the step, or add an index.',
  },
  BLW_SQL_LEDGER: {
    type: 'configuration',
    status: 403,
    title: 'The database cannot remember what steps write',
    help: 'Let an administrator run the statements of the message, or set metadata.idempotent: true where running the step twice is harmless.',
  },
  BLW_SQL_FAILED: {
    type: 'runtime',
    status: 500,
    title: 'The database failed',
    help: 'The message is the database’s own.',
  },
  // Approvals.
  BLW_APPROVAL_TIMEOUT: {
    type: 'timeout',
    status: 408,
    title: 'Nobody decided in time',
    help: 'Raise `timeout`, or say what happens then with onTimeout: reject or continue.',
  },
  BLW_APPROVAL_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The decision is not valid',
    help: 'Send {"decision": "approved" or "rejected", "by": "…"} and the form that the approval asks for.',
  },
  BLW_APPROVAL_DENIED: {
    type: 'authorization',
    status: 403,
    title: 'This person may not decide here',
    help: 'Only the assignees may decide, and nobody on their own request.',
  },
  BLW_APPROVAL_CLOSED: {
    type: 'runtime',
    status: 409,
    title: 'The approval is decided already',
    help: 'Look at its state; a person counts once, and nobody after the outcome.',
  },
  // Events.
  BLW_EVENT_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The event is not a valid CloudEvent',
    help: 'Send one JSON object with specversion "1.0", id, source and type; its data goes under `data`.',
  },
  BLW_SUBSCRIPTION_REFUSED: {
    type: 'runtime',
    status: 503,
    title: 'The event bus refused the subscription',
    help: 'Too many steps listen at once, or their filters are too large; see the query `subscriptions` of the bus.',
  },
  BLW_TRIGGER_INVALID: {
    type: 'validation',
    status: 400,
    title: 'The trigger is not valid',
    help: 'Send {"id": "…", "flow": "namespace/name:version" or a document, "on": {…}}.',
  },
  // Command line and set-up.
  BLW_USAGE: {
    type: 'configuration',
    status: 400,
    title: 'The command was not understood',
    help: 'See `beamline --help`.',
  },
  BLW_CONFIG: {
    type: 'configuration',
    status: 400,
    title: 'The configuration is not valid',
    help: 'The message names the flag, variable or line.',
  },
  BLW_STATE_STORE: {
    type: 'communication',
    status: 503,
    title: 'The state store cannot be used',
    help: 'Check --state-store: the file or the database, its disk, its permissions, and whether it answers.',
  },
  BLW_TEMPORAL_UNREACHABLE: {
    type: 'communication',
    status: 503,
    title: 'Temporal cannot be reached',
    help: 'Check TEMPORAL_ADDRESS, or start one with `beamline dev`.',
  },
});

/** A stable error code of the project. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** True where a string is one of the project's codes. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_CODES, value);
}
