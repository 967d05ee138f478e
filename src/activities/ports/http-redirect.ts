import { type BlockFailure, notRetryable } from '../block-failure';
import { isCredentialHeader } from '../http/headers';
import { describeUrl, findUrlProblem } from '../http/url';

/** One request of a chain of redirects. */
export interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** True where an earlier request of the chain has been carried out and would be again, were the chain begun anew. */
  readonly followsEffect: boolean;
}

/** As many as curl's and browsers' users meet at most in practice; more is a loop. */
export const MAX_REDIRECTS = 10;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const CONTENT_HEADERS: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
]);

/** True for a status that sends the client elsewhere (RFC 9110 section 15.4); 300 and 304 do not. */
export function isRedirect(statusCode: number): boolean {
  return REDIRECTS.has(statusCode);
}

/**
 * The request that a redirect asks for: 303, and 301 or 302 after POST, become GET without body (as browsers do, RFC 9110
 * sections 15.4.2 to 15.4.4); 307 and 308 repeat method and body. Credentials are dropped where the origin changes.
 * Throws BLW_HTTP_REDIRECT (not retryable) where the location cannot be used.
 */
export function followRedirect(hop: Hop, statusCode: number, location: string | string[] | undefined): Hop {
  const url = parseLocation(hop, location);
  const becomesGet = changesMethod(hop.method, statusCode);
  const isElsewhere = url.origin !== hop.url.origin;
  const headers = Object.fromEntries(
    Object.entries(hop.headers).filter(
      ([name]) => !(isElsewhere && isCredentialHeader(name)) && !(becomesGet && CONTENT_HEADERS.has(name)),
    ),
  );
  if (becomesGet) return { method: 'GET', url, headers, followsEffect: true };
  const { method, body, followsEffect } = hop;
  return { method, url, headers, followsEffect, ...(body === undefined ? {} : { body }) };
}

/** The failure of a chain that does not end. */
export function tooManyRedirects(label: string): BlockFailure {
  return notRetryable(
    'BLW_HTTP_REDIRECT',
    `${label}: got more than ${MAX_REDIRECTS} redirects, expected an answer by then; look for a loop on the server`,
  );
}

function changesMethod(method: string, statusCode: number): boolean {
  if (statusCode === 303) return method !== 'GET' && method !== 'HEAD';
  return (statusCode === 301 || statusCode === 302) && method === 'POST';
}

function parseLocation(hop: Hop, location: string | string[] | undefined): URL {
  if (location === undefined) throw badLocation(hop, 'a redirect without a location');
  if (typeof location !== 'string') throw badLocation(hop, 'a redirect with several locations');
  if (!URL.canParse(location, hop.url.href)) throw badLocation(hop, 'a redirect to no URL');
  const url = new URL(location, hop.url);
  const problem = findUrlProblem(url);
  if (problem !== undefined) throw badLocation(hop, `a redirect with ${problem}`);
  return url;
}

function badLocation(hop: Hop, got: string): BlockFailure {
  return notRetryable(
    'BLW_HTTP_REDIRECT',
    `${hop.method} ${describeUrl(hop.url)}: got ${got}, expected an http or https URL without credentials; ` +
      'mend the server, or call the final URL itself',
  );
}
