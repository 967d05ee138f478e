import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import type { ErrorCode } from '../error-codes';
import type { JsonObject } from '../json';

const path: JsonObject = {
  type: 'string',
  minLength: 1,
  maxLength: 1024,
  description: 'Blob path: relative, `/` between segments, no `.` or `..`. At most 1,024 bytes in UTF-8',
};
const sha256: JsonObject = { type: 'string', description: 'SHA-256 of the content, hex' };
const size: JsonObject = { type: 'integer', description: 'Bytes' };
const ifMissing: JsonObject = {
  type: 'string',
  enum: ['fail', 'ignore'],
  default: 'fail',
  description: 'What a path without a blob is: an error, or an answer',
};

const common = {
  kind: 'activity',
  resources: 'io',
  startToCloseMs: 30_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  idempotent: true,
  summaryArguments: ['path'],
} as const;
const errors: readonly ErrorCode[] = ['BLW_FS_PATH', 'BLW_FS_IO'];

/** `call: fs.put`. */
export const fsPut: BlockSpec = {
  ...common,
  call: 'fs.put',
  type: 'fs.put',
  summary: 'Writes a blob',
  description: `Writes a blob atomically: a reader sees the old or the new content, never half, and what was acknowledged survives a crash.

- \`content\`: a string is stored as UTF-8 text, anything else as JSON. \`base64\` stores bytes. Exactly one of them.
- \`ifMatch\`: the SHA-256 that the blob must have now, or \`none\` for "must not exist".
  A retry after a lost answer succeeds if the blob has the step's own content by then.
- Blobs belong to the flow's tenant; a path never leaves the tenant's space.`,
  arguments: {
    type: 'object',
    required: ['path'],
    additionalProperties: false,
    properties: {
      path,
      content: { description: 'Text, or a value that is stored as JSON' },
      base64: { type: 'string', description: 'Bytes, in base64; instead of content' },
      contentType: { type: 'string', maxLength: 1000, description: 'Media type to keep with the blob' },
      ifMatch: {
        type: 'string',
        pattern: '^([0-9a-fA-F]{64}|none)$',
        description: 'Write only if the blob has this SHA-256 now; `none`: only if there is no blob',
      },
    },
  },
  output: { type: 'object', properties: { path: { type: 'string' }, size, sha256 } },
  errors: [...errors, 'BLW_FS_PRECONDITION'],
  example: `- keepReceipt:
    call: fs.put
    with:
      path: receipts/4711.json
      content: \${ data }
`,
};

/** `call: fs.get`. */
export const fsGet: BlockSpec = {
  ...common,
  call: 'fs.get',
  type: 'fs.get',
  summary: 'Reads a blob',
  description: `Reads a blob of at most 100 MiB into the flow. \`as\` says how: \`text\` (UTF-8, default), \`json\` or \`base64\`.`,
  arguments: {
    type: 'object',
    required: ['path'],
    additionalProperties: false,
    properties: {
      path,
      as: { type: 'string', enum: ['text', 'json', 'base64'], default: 'text', description: 'Form of the content' },
    },
  },
  output: { type: 'object', properties: { path: { type: 'string' }, size, sha256, content: {} } },
  errors: [...errors, 'BLW_FS_NOT_FOUND', 'BLW_FS_CONTENT', 'BLW_FS_TOO_LARGE'],
  example: `- readReceipt:
    call: fs.get
    with:
      path: receipts/4711.json
      as: json
`,
};

/** `call: fs.list`. */
export const fsList: BlockSpec = {
  ...common,
  call: 'fs.list',
  type: 'fs.list',
  summary: 'Lists blobs',
  description: `Lists the tenant's blobs whose path starts with \`prefix\`, in the order of their paths (by code unit).
At most \`limit\` entries; where there are more, \`next\` is given: pass it as \`after\` to go on.`,
  arguments: {
    type: 'object',
    additionalProperties: false,
    properties: {
      prefix: { type: 'string', maxLength: 1024, default: '', description: 'Beginning of the paths' },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Most entries of one answer' },
      after: {
        type: 'string',
        maxLength: 1024,
        description: 'Only paths after this one; the `next` of the answer before',
      },
    },
  },
  output: {
    type: 'object',
    required: ['entries'],
    properties: {
      entries: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            path: { type: 'string' },
            size,
            sha256,
            modifiedAt: { type: 'string', description: 'ISO 8601' },
          },
        },
      },
      next: { type: 'string', description: 'Present where there is more' },
    },
  },
  errors,
  example: `- listReceipts:
    call: fs.list
    with:
      prefix: receipts/
      limit: 50
`,
  summaryArguments: ['prefix'],
};

/** `call: fs.stat`. */
export const fsStat: BlockSpec = {
  ...common,
  call: 'fs.stat',
  type: 'fs.stat',
  summary: 'Tells whether a blob exists, its size and hash',
  description: `Reads a blob's size and hash without its content. With \`ifMissing: ignore\` a missing blob gives \`exists: false\`.`,
  arguments: {
    type: 'object',
    required: ['path'],
    additionalProperties: false,
    properties: { path, ifMissing },
  },
  output: { type: 'object', properties: { path: { type: 'string' }, exists: { type: 'boolean' }, size, sha256 } },
  errors: [...errors, 'BLW_FS_NOT_FOUND'],
  example: `- checkReceipt:
    call: fs.stat
    with:
      path: receipts/4711.json
      ifMissing: ignore
`,
};

/** `call: fs.delete`. */
export const fsDelete: BlockSpec = {
  ...common,
  call: 'fs.delete',
  type: 'fs.delete',
  summary: 'Deletes a blob',
  description: `Deletes a blob. A missing one is an error, or with \`ifMissing: ignore\` the answer \`deleted: false\`.
A retry after a lost answer finds the blob gone; the store remembers which step deleted it, so the answer is still \`deleted: true\`,
and a blob that was put at the path since is left alone.`,
  arguments: {
    type: 'object',
    required: ['path'],
    additionalProperties: false,
    properties: { path, ifMissing },
  },
  output: { type: 'object', properties: { path: { type: 'string' }, deleted: { type: 'boolean' } } },
  errors: [...errors, 'BLW_FS_NOT_FOUND'],
  example: `- dropReceipt:
    call: fs.delete
    with:
      path: receipts/4711.json
`,
};
