import { type BlockFailure, notRetryable } from '../block-failure';

const MAX_SHOWN = 300;

/** A URL as messages may show it: scheme, host and path; never credentials, query or fragment, which may hold secrets. */
export function describeUrl(url: URL): string {
  return clip(`${url.protocol}//${url.host}${url.pathname}`);
}

/**
 * Parses an absolute http or https URL without credentials.
 * Throws BLW_HTTP_URL (not retryable); the message shows no query and no credentials.
 */
export function parseHttpUrl(text: string): URL {
  if (!URL.canParse(text)) throw badUrl(describeText(text), 'no absolute URL');
  const url = new URL(text);
  checkHttpUrl(url);
  return url;
}

/** Throws BLW_HTTP_URL (not retryable) unless the URL is http or https and carries no credentials. */
export function checkHttpUrl(url: URL): void {
  const problem = findUrlProblem(url);
  // Not describeUrl: the path of `user:password@host`, read as a URL of the scheme `user`, is the password.
  if (problem !== undefined) throw badUrl(describeText(url.href), problem);
}

/** What makes a URL unusable for a request, in words that complete "got …"; undefined where it is usable. */
export function findUrlProblem(url: URL): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `the scheme ${url.protocol.slice(0, -1)}`;
  if (url.username !== '' || url.password !== '') return 'credentials in the URL';
  return undefined;
}

function badUrl(where: string, problem: string): BlockFailure {
  return notRetryable(
    'BLW_HTTP_URL',
    `endpoint ${where}: got ${problem}, expected an absolute http or https URL without credentials; ` +
      'write credentials under `authentication`',
  );
}

function describeText(text: string): string {
  const withoutQuery = text.split(/[?#]/, 1)[0] ?? '';
  return JSON.stringify(clip(withoutQuery.replace(/^([^/]*\/\/)?[^/]*@/, '$1')));
}

function clip(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
