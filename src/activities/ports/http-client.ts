import type { Readable } from 'node:stream';

/** One request, complete: URL with its query, headers lower-case. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
  /** Follow redirects, at most 10; credentials are dropped when the origin changes. */
  readonly followRedirects: boolean;
  /** Called before the first byte of each request of a chain is sent; where it throws a BlockFailure, that request is not sent, and `send` fails with it. */
  readonly onSending?: () => void;
  /** Asked before a redirect is followed; throws where the request must not go there. */
  readonly admitRedirect?: (method: string, url: URL) => void;
}

/** The answer; the body must be consumed or destroyed. Decompressed already. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** URL of the last request, after redirects. */
  readonly url: URL;
  readonly body: Readable;
  /** True where a content coding was taken off the body: positions in it are not those that the server counts. */
  readonly isDecoded?: boolean;
}

/**
 * Sends requests. Never retries. Throws BlockFailure: BLW_HTTP_URL, BLW_HTTP_HOST_DENIED, BLW_HTTP_REDIRECT (not retryable),
 * BLW_HTTP_UNREACHABLE where nothing was sent (retryable), BLW_HTTP_OUTCOME_UNKNOWN where the answer was lost (retryable;
 * the caller decides by method). An abort of the signal throws its reason.
 */
export interface HttpClient {
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): Promise<void>;
}
