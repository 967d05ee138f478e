import { ERROR_CODES, type ErrorCode, type StandardErrorType } from './error-codes';
import type { Json, JsonObject } from './json';

/** Root of OWS's standard error types (dsl-reference, "Standard Error Types"). */
const STANDARD_TYPE_ROOT = 'https://open-workflow-specification.org/spec/1.0.0/errors/';

/** Roots under which earlier texts of the specification wrote the same types; a `catch` filter may use any. */
const STANDARD_TYPE_ROOTS = [
  STANDARD_TYPE_ROOT,
  'https://open-workflow-specification.org/dsl/errors/types/',
  'https://serverlessworkflow.io/spec/1.0.0/errors/',
  'https://serverlessworkflow.io/dsl/errors/types/',
];

/**
 * An error as data, in the shape of OWS (RFC 7807): what `catch` sees, what a failed flow carries.
 * `code` is the project's own stable code, absent on errors that a flow raised itself.
 */
export interface FlowErrorData {
  readonly type: string;
  readonly status: number;
  readonly title?: string;
  readonly detail?: string;
  /** JSON Pointer of the task that failed, e.g. `/do/0/getOrder`. */
  readonly instance?: string;
  readonly code?: ErrorCode;
  /** What the failing block adds, e.g. the response of a failed HTTP call. */
  readonly data?: Json;
  /** What was undone after it, in the error of a flow. */
  readonly compensation?: CompensationReport;
}

/** What became of the compensations of a flow that failed. */
export interface CompensationReport {
  /** Steps that were undone. */
  readonly completed: number;
  /** Steps whose compensation failed for good: somebody has to look at them. */
  readonly failed: readonly { readonly step: string; readonly error: JsonObject }[];
}

/** What something that was thrown says: the message of an Error, the text of all else. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The full URI of a standard error type. */
export function standardErrorType(type: StandardErrorType): string {
  return STANDARD_TYPE_ROOT + type;
}

/** Two error types are the same if equal, or if both name the same standard type under any of its roots. */
export function isSameErrorType(left: string, right: string): boolean {
  return left === right || canonicalErrorType(left) === canonicalErrorType(right);
}

function canonicalErrorType(type: string): string {
  const root = STANDARD_TYPE_ROOTS.find((candidate) => type.startsWith(candidate));
  return root === undefined ? type : STANDARD_TYPE_ROOT + type.slice(root.length);
}

/** Makes the data of an error from its code: type, status and title come from the code's row. */
export function flowErrorData(
  code: ErrorCode,
  detail: string,
  extra: { status?: number; instance?: string; data?: Json } = {},
): FlowErrorData {
  const info = ERROR_CODES[code];
  return {
    type: standardErrorType(info.type),
    status: extra.status ?? info.status,
    title: info.title,
    detail,
    code,
    ...(extra.instance === undefined ? {} : { instance: extra.instance }),
    ...(extra.data === undefined ? {} : { data: extra.data }),
  };
}

/** An error of a flow while it is thrown: carries {@link FlowErrorData}. */
export class FlowError extends Error {
  override readonly name = 'FlowError';

  constructor(
    readonly data: FlowErrorData,
    options?: ErrorOptions,
  ) {
    super(data.detail ?? data.title ?? data.type, options);
  }

  /** The same error, with the place it came from set where it was not known yet. */
  at(instance: string): FlowError {
    return this.data.instance === undefined ? new FlowError({ ...this.data, instance }, { cause: this }) : this;
  }
}

/** Shorthand for `new FlowError(flowErrorData(…))`. */
export function flowError(
  code: ErrorCode,
  detail: string,
  extra: { status?: number; instance?: string; data?: Json; cause?: unknown } = {},
): FlowError {
  const { cause, ...rest } = extra;
  return new FlowError(flowErrorData(code, detail, rest), cause === undefined ? undefined : { cause });
}

/** The error as a plain JSON object, keys in the order of RFC 7807. */
export function flowErrorToJson(error: FlowErrorData): JsonObject {
  const { type, status, title, detail, instance, code, data, compensation } = error;
  const json: JsonObject = { type, status };
  if (title !== undefined) json.title = title;
  if (detail !== undefined) json.detail = detail;
  if (instance !== undefined) json.instance = instance;
  if (code !== undefined) json.code = code;
  if (data !== undefined) json.data = data;
  if (compensation !== undefined)
    json.compensation = { completed: compensation.completed, failed: [...compensation.failed] };
  return json;
}

/** What a person reads of an error in the shape of OWS: `the answer has status 503 [BLW_HTTP_STATUS]`. */
export function errorText({ detail, title, type, code }: JsonObject): string {
  return `${String(detail ?? title ?? type)}${typeof code === 'string' ? ` [${code}]` : ''}`;
}
