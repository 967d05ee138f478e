import type { Readable } from 'node:stream';
import { type Json, type JsonObject, setOwn } from '../../dsl/json';
import { type BlockFailure, notRetryable, retryable } from '../block-failure';
import type { HttpResponse } from '../ports/http-client';
import type { HttpCall } from './call';
import { parseMediaType } from './media-type';
import { describeUrl } from './url';

/** How much of an error's body goes into the flow's error. */
const MAX_ERROR_BYTES = 4096;
/** Longest pause that a server may ask for: one hour. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** Says "not now": the request was not processed (RFC 9110 section 15, RFC 6585 section 4, RFC 8470 section 5.2). */
const TRY_LATER: ReadonlySet<number> = new Set([408, 425, 429, 503]);

/**
 * The failure BLW_HTTP_STATUS of an answer, with `status` as the server sent it and, as data, the status, some headers
 * and the beginning of the body. Retryable: 408, 425, 429 and 503; other 5xx where the call is repeatable. Where it is not, and the answer does
 * not say that nothing was done, the data's `outcome` is `unknown`.
 * Reads at most 4 KiB of the body and destroys the rest; never fails itself, unless `signal` (the step's own) is aborted.
 */
export async function statusFailure(
  call: HttpCall,
  response: HttpResponse,
  expected: string,
  signal: AbortSignal,
): Promise<BlockFailure> {
  const { statusCode, headers } = response;
  const start = await readStart(response.body);
  signal.throwIfAborted();
  const detail = `${call.label}: got status ${statusCode}${redirectNote(call, response)}, expected ${expected}; look at the answer in the error's data`;
  const extra = {
    status: statusCode,
    data: {
      statusCode,
      headers: safeHeaders(response),
      content: errorContent(start, headers['content-type']),
      ...(call.isRepeatable || saysNothingWasDone(call, response) ? {} : { outcome: 'unknown' }),
    },
  };
  if (!isRetryableStatus(call, response)) return notRetryable('BLW_HTTP_STATUS', detail, extra);
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  return retryable('BLW_HTTP_STATUS', detail, { ...extra, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

/**
 * Milliseconds until the time that a `Retry-After` header names (RFC 9110 section 10.2.3: seconds or a date), at most an hour.
 * Undefined where there is none, it cannot be read or the time has come.
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined;
}

/** After a redirect the answer is another server's: it says nothing of whether the first request took effect. */
function isRetryableStatus(call: HttpCall, response: HttpResponse): boolean {
  if (call.isRepeatable) return TRY_LATER.has(response.statusCode) || response.statusCode >= 500;
  return TRY_LATER.has(response.statusCode) && !wasRedirected(call, response);
}

/** The server refused the request, or had no time for it. After another 5xx, or a redirect, it may have been carried out. */
function saysNothingWasDone(call: HttpCall, response: HttpResponse): boolean {
  const { statusCode } = response;
  const isRefusal = TRY_LATER.has(statusCode) || (statusCode >= 400 && statusCode < 500);
  return isRefusal && !wasRedirected(call, response);
}

function wasRedirected(call: HttpCall, response: HttpResponse): boolean {
  return response.url.href !== call.url.href;
}

function redirectNote(call: HttpCall, response: HttpResponse): string {
  return wasRedirected(call, response) ? ` from ${describeUrl(response.url)} after a redirect` : '';
}

function safeHeaders({ headers, url }: HttpResponse): JsonObject {
  const safe: JsonObject = {};
  for (const name of ['content-type', 'retry-after']) {
    const value = headers[name];
    if (value !== undefined) setOwn(safe, name, value);
  }
  const { location } = headers;
  if (location !== undefined && URL.canParse(location, url.href)) safe.location = describeUrl(new URL(location, url));
  return safe;
}

interface BodyStart {
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

/** Never throws: the status is worth more than the rest of a body that breaks off or comes too slowly. */
async function readStart(body: Readable): Promise<BodyStart> {
  const chunks: Buffer[] = [];
  let size = 0;
  let isWhole = false;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ERROR_BYTES) break;
    }
    isWhole = size <= MAX_ERROR_BYTES;
  } catch {
    isWhole = false;
  }
  return { bytes: Buffer.concat(chunks).subarray(0, MAX_ERROR_BYTES), isWhole };
}

function errorContent({ bytes, isWhole }: BodyStart, contentType: string | undefined): Json {
  const { kind, charset } = parseMediaType(contentType);
  if (bytes.length === 0 || kind === 'binary') return null;
  const text = decodeLeniently(bytes, charset, isWhole);
  if (kind === 'text' || !isWhole) return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function decodeLeniently(bytes: Buffer, charset: string | undefined, isWhole: boolean): string {
  // With `stream`, a character that the limit cut in two is left out.
  const options = { stream: !isWhole };
  try {
    return new TextDecoder(charset ?? 'utf-8').decode(bytes, options);
  } catch {
    return new TextDecoder('utf-8').decode(bytes, options);
  }
}
