import { isJsonObject, type Json } from '../../dsl/json';
import type { BlobPart } from '../ports/blob-store';
import type { HttpResponse } from '../ports/http-client';
import type { HttpCall } from './call';

/** A second and a bit would do where clocks were exact (RFC 9110 section 8.8.2.2); earlier texts asked for a minute. */
const STRONG_AFTER_MS = 60_000;

/** What an attempt has left of an answer, in a heartbeat. */
export interface AnswerPart extends BlobPart {
  /** Names the representation to the byte: a strong `ETag`, or a `Last-Modified` that is as good as one. */
  readonly validator: string;
  /** The last part of an answer need not say it again. */
  readonly contentType?: string;
}

/** The part that the attempt before has told of; undefined where it told of none, or something else. */
export function partOf(heartbeat: Json | undefined): AnswerPart | undefined {
  const part = isJsonObject(heartbeat) ? heartbeat.part : undefined;
  if (!isJsonObject(part)) return undefined;
  const { name, size, sha256, validator, contentType } = part;
  if (typeof name !== 'string' || typeof sha256 !== 'string' || typeof validator !== 'string') return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0) return undefined;
  // It goes into a header.
  if (!/^[\x20-\x7e]{1,1000}$/.test(validator)) return undefined;
  return { name, size, sha256, validator, ...(typeof contentType === 'string' ? { contentType } : {}) };
}

/** True for a call whose answer may be asked for in parts: one that only reads, and whose author does not do so himself. */
export function mayResume({ method, headers }: HttpCall): boolean {
  return method === 'GET' && headers.range === undefined && headers['if-range'] === undefined;
}

/** The call for what comes behind the part, or for the whole where that is another by now (RFC 9110 section 13.1.5). */
export function behind(call: HttpCall, { size, validator }: AnswerPart): HttpCall {
  const headers = { 'accept-encoding': 'identity', ...call.headers, range: `bytes=${size}-`, 'if-range': validator };
  return { ...call, headers };
}

/** What the rest of an answer has to be asked for with; undefined where it cannot be. */
export function validatorOf({ statusCode, headers, isDecoded }: HttpResponse): string | undefined {
  if (statusCode !== 200 || isDecoded === true) return undefined;
  if (/(?:^|[\s,])none(?:$|[\s,])/i.test(headers['accept-ranges'] ?? '')) return undefined;
  const { etag } = headers;
  if (etag !== undefined) return /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : undefined;
  const modified = headers['last-modified'] ?? '';
  const age = Date.parse(headers.date ?? '') - Date.parse(modified);
  return age >= STRONG_AFTER_MS ? modified : undefined;
}

/** True where the answer is what comes behind the part, and goes to the end. A server that does not keep to its word is not believed. */
export function goesOn(response: HttpResponse, { size, validator }: AnswerPart): boolean {
  const { statusCode, headers, isDecoded } = response;
  if (statusCode !== 206 || isDecoded === true) return false;
  const [, first, last, whole] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(headers['content-range'] ?? '') ?? [];
  if (Number(first) !== size || Number(last) + 1 !== Number(whole)) return false;
  // Without a length nobody would notice that it ends too early.
  if (Number(headers['content-length']) !== Number(whole) - size) return false;
  return !validator.startsWith('"') || headers.etag === undefined || headers.etag === validator;
}

/** The whole answer, as its last part tells of it (RFC 9110 section 15.3.7.3). */
export function wholeAnswer(last: HttpResponse, { contentType }: AnswerPart): HttpResponse {
  const { 'content-range': range = '', ...rest } = last.headers;
  const headers = {
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...rest,
    'content-length': range.slice(range.indexOf('/') + 1),
  };
  return { ...last, statusCode: 200, headers };
}
