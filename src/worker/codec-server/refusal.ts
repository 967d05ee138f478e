import { ERROR_CODES, type ErrorCode } from '../../dsl/error-codes';

/** What the log says of a refusal beside what the caller is told. Never anything of a payload or a token. */
export interface RefusalNotes {
  readonly code?: ErrorCode;
  /** Why, where the caller is not told all. */
  readonly reason?: string;
  /** What to do; absent: the help of the code. */
  readonly help?: string;
  /** Of a defect: where it was thrown. */
  readonly frames?: string;
}

/** A request that is refused: the answer has the status and the message, the log all of it. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly help: string;
  /** Where the defect is that was the reason. */
  readonly frames: string | undefined;

  constructor(
    readonly status: number,
    message: string,
    { code = 'BLW_CODEC_REQUEST', reason = message, help = ERROR_CODES[code].help, frames }: RefusalNotes = {},
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.help = help;
    this.frames = frames;
  }
}

/** The caller may not have what he asks for: 403, and nothing is given. */
export function callerDenied(reason: string): Refusal {
  return new Refusal(403, 'these payloads are not for you', {
    code: 'BLW_TENANT_DENIED',
    reason,
    help: 'Call with a token of the tenant whose payloads these are, at an address that names that tenant or none.',
  });
}

/** Nobody who is known calls: 401. The caller is not told why. */
export function callerUnknown(code: 'BLW_TOKEN_REQUIRED' | 'BLW_TOKEN_INVALID', reason: string): Refusal {
  return new Refusal(401, 'expected a token that is known: Authorization: Bearer …', {
    code,
    reason,
    help: 'Send a valid token: temporal --codec-auth "Bearer $TOKEN"; in the UI turn on that it passes the access token on.',
  });
}
