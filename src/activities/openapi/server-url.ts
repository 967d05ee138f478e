import { getOwn } from '../../dsl/json';
import { shortJson } from '../../dsl/problems';
import { findUrlProblem } from '../http/url';
import { badDocument, listOf, type OpenApiDocument, objectOf, textOf } from './openapi-document';
import type { OperationSite } from './operation-site';

/**
 * The server of an operation of OpenAPI 3: the first that the operation, its path or the document names, its variables at
 * their defaults, relative to the document's URL. Throws BLW_OPENAPI_DOCUMENT.
 */
export function serverOf({ document, operation, pathItem }: OperationSite): string {
  const [server] = [operation.servers, pathItem.servers, document.root.servers].flatMap((servers) => listOf(servers));
  const { url, variables } = objectOf(server);
  const text = (textOf(url) ?? '/').replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = objectOf(getOwn(objectOf(variables), name)).default;
    if (value !== undefined) return String(value);
    throw badDocument(document.label, `the server's variable ${shortJson(name)} has no default`);
  });
  return baseUrl(document, text);
}

/** The server of Swagger 2.0: `schemes`, `host` and `basePath`, each as the document's own URL has it where it is missing. */
export function swaggerServerOf({ document, operation }: OperationSite): string {
  const { host, basePath, schemes } = document.root;
  const offered = listOf(operation.schemes ?? schemes);
  const scheme = ['https', 'http'].find((name) => offered.includes(name));
  if (offered.length > 0 && scheme === undefined) {
    throw badDocument(document.label, `got the schemes ${shortJson(offered)}, expected https or http among them`);
  }
  const protocol = scheme === undefined ? document.url.protocol : `${scheme}:`;
  return baseUrl(document, `${protocol}//${textOf(host) ?? document.url.host}${textOf(basePath) ?? '/'}`);
}

function baseUrl(document: OpenApiDocument, text: string): string {
  if (!URL.canParse(text, document.url.href)) {
    throw badDocument(document.label, 'got a server that is no URL, expected http or https');
  }
  const url = new URL(text, document.url);
  const problem = findUrlProblem(url);
  if (problem !== undefined) {
    throw badDocument(
      document.label,
      `got a server with ${problem}, expected an http or https URL without credentials`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
