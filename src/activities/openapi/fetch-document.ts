import { createHash } from 'node:crypto';
import { AttemptPorts } from '../attempt-ports';
import type { BlockContext } from '../block';
import { readBody } from '../http/answer';
import { buildHttpCall, type HttpArguments, type HttpCall, sendCall } from '../http/call';
import { runCall } from '../http/run';
import { statusFailure } from '../http/status-failure';
import { describeUrl } from '../http/url';
import type { HttpClient, HttpResponse } from '../ports/http-client';
import { type CachedDocument, DocumentCache } from './document-cache';
import { badDocument, type OpenApiDocument, parseOpenApiDocument } from './openapi-document';

/** Largest document: 8 MiB. JSON of that size takes up to half a second to parse; YAML, which is slower, has the limits of flows. */
const MAX_DOCUMENT_BYTES = 8_388_608;
/** Part of the step's time that fetching the document may take. */
const MAX_FETCH_MS = 15_000;
const MAX_AGE_MS = 60_000;
const CACHE_LIMITS = { maxEntries: 50, maxBytes: 33_554_432 };

/** A worker has one client; what it fetched lives as long as the client does. */
const caches = new WeakMap<HttpClient, DocumentCache>();

/**
 * The OpenAPI document at an endpoint: from the worker's cache where it is younger than a minute or the server says that it
 * has not changed. Follows redirects. Throws what `call: http` throws for a GET, and BLW_OPENAPI_DOCUMENT.
 */
export async function fetchDocument(
  endpoint: HttpArguments['endpoint'],
  context: BlockContext,
): Promise<OpenApiDocument> {
  const cache = cacheOf(AttemptPorts.clientOf(context.ports));
  const key = cacheKey(endpoint, context);
  const known = cache.get(key);
  if (known !== undefined && known.freshUntil > Date.now()) return known.document;
  const call = documentCall(endpoint, known?.etag, context);
  const limited = { ...context, deadline: Math.min(context.deadline, Date.now() + MAX_FETCH_MS) };
  const entry = await runCall(call, limited, async (signal) => {
    const response = await sendCall(call, context, { signal, followRedirects: true });
    return readDocument(call, response, known, context.signal);
  });
  cache.set(key, entry);
  return entry.document;
}

function cacheOf(client: HttpClient): DocumentCache {
  const cache = caches.get(client) ?? new DocumentCache(CACHE_LIMITS);
  caches.set(client, cache);
  return cache;
}

/** Tenants and credentials never share a document; the key itself holds no secret. */
function cacheKey(endpoint: HttpArguments['endpoint'], { step }: BlockContext): string {
  return createHash('sha256')
    .update(JSON.stringify([step.tenant, endpoint]))
    .digest('base64');
}

function documentCall(endpoint: HttpArguments['endpoint'], etag: string | undefined, context: BlockContext): HttpCall {
  const headers = {
    accept: 'application/json, application/yaml;q=0.9, */*;q=0.8',
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
  };
  const call = buildHttpCall({ method: 'GET', endpoint, headers }, context.step);
  return { ...call, label: `OpenAPI document: ${call.label}` };
}

async function readDocument(
  call: HttpCall,
  response: HttpResponse,
  known: CachedDocument | undefined,
  signal: AbortSignal,
): Promise<CachedDocument> {
  const freshUntil = Date.now() + MAX_AGE_MS;
  if (response.statusCode === 304 && known !== undefined) {
    response.body.destroy();
    return { ...known, freshUntil };
  }
  if (response.statusCode < 200 || response.statusCode > 299) {
    throw await statusFailure(call, response, '200 to 299', signal);
  }
  const label = describeUrl(response.url);
  const bytes = await readBody(response.body, MAX_DOCUMENT_BYTES, () =>
    badDocument(
      label,
      `got more than ${MAX_DOCUMENT_BYTES} bytes, expected at most that; take the part that is needed`,
    ),
  );
  const { etag } = response.headers;
  const sha256 = createHash('sha256').update(bytes).digest('base64');
  const isSame = known?.sha256 === sha256 && known.document.url.href === response.url.href;
  return {
    document: isSame ? known.document : parseOpenApiDocument(bytes, response.url, label),
    bytes: bytes.length,
    sha256,
    freshUntil,
    // RFC 9110 section 8.8.3; anything else could not be sent back as it is.
    ...(etag !== undefined && /^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(etag) ? { etag } : {}),
  };
}
