import { notRetryable } from '../block-failure';

/**
 * Words in the names of headers that prove who calls: `authorization`, `cookie` and `proxy-authorization`, which are HTTP's own
 * (RFC 9110 sections 11.6 and 11.7, RFC 6265), and what services call their keys, such as `x-api-key`, `x-vault-token`,
 * `ocp-apim-subscription-key`. The Fetch standard drops `authorization` alone where a redirect leaves the origin, since a
 * page can set nothing else that counts; here an author's key would go to whoever the server names.
 */
const CREDENTIAL_WORDS =
  /(?:^|[-_.])(?:[a-z]*key|[a-z]*token|[a-z]*secret|auth|authn|authorization|authentication|cookie2?|credentials?|jwt|pass|passw(?:or)?d|passphrase|pin|session(?:-?id)?|sid|signature|bearer)(?:$|[-_.])/;

/** Headers with such a word that prove nothing. */
const HARMLESS_HEADERS: ReadonlySet<string> = new Set(['idempotency-key', 'x-idempotency-key', 'sec-websocket-key']);

/** Headers that belong to the connection or follow from URL and body (RFC 9110 section 7.6.1): nobody's but the client's. */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 section 5.6.2, `token`. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5, `field-value`: visible characters, blanks and obs-text; no CR, LF, NUL. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * True for a header (in lower case) whose value proves who calls, by its name: dropped where a redirect leaves the origin,
 * redacted where a request is shown.
 */
export function isCredentialHeader(name: string): boolean {
  return CREDENTIAL_WORDS.test(name) && !HARMLESS_HEADERS.has(name);
}

/** The headers with credentials blanked out, for showing. */
export function redactHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, isCredentialHeader(name) ? '[redacted]' : value]),
  );
}

/**
 * An author's headers with names in lower case and values as text.
 * Throws BLW_ARG_INVALID (not retryable) for what HTTP does not allow or the client sets itself; no value is shown.
 */
export function parseRequestHeaders(headers: Readonly<Record<string, string | number | boolean>>): Map<string, string> {
  const parsed = new Map<string, string>();
  for (const [written, value] of Object.entries(headers)) {
    const name = written.toLowerCase();
    checkName(written, name);
    if (parsed.has(name)) throw badHeader(written, 'the header twice', 'each header once; names ignore case');
    parsed.set(name, checkHeaderValue(written, String(value)));
  }
  return parsed;
}

/** The value, where HTTP can carry it. Throws BLW_ARG_INVALID (not retryable) without showing it. */
export function checkHeaderValue(name: string, value: string): string {
  if (HEADER_VALUE.test(value)) return value;
  throw badHeader(name, 'a character that no header value may have', 'one line of Latin-1 text; encode anything else');
}

/**
 * Text in visible ASCII, the rest percent-encoded as UTF-8. The percent sign is encoded as well,
 * so that two different texts never become the same.
 */
export function toVisibleAscii(text: string): string {
  return text.replace(/[^\x21-\x24\x26-\x7e]+/g, (part) =>
    Array.from(Buffer.from(part), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

function checkName(written: string, name: string): void {
  if (!HEADER_NAME.test(written)) {
    throw badHeader(written, 'a name that HTTP does not allow', 'letters, digits and hyphens');
  }
  if (CONNECTION_HEADERS.has(name)) {
    throw badHeader(written, 'a header that the worker sets itself', 'it to be left out');
  }
}

function badHeader(name: string, got: string, expected: string): Error {
  return notRetryable('BLW_ARG_INVALID', `with.headers ${JSON.stringify(name)}: got ${got}, expected ${expected}`);
}
