import { shortText } from '../problems';
import type { NotFound } from './library';

/**
 * The folder, below that of the worker's catalog, that the endpoint of a catalog means: a `file:` URL, or a relative path.
 * Denied where it lies anywhere else: the operator has allowed that one folder, and no document widens it.
 */
export function catalogFolder(endpoint: string, folders: readonly string[]): { readonly path: string } | NotFound {
  const unsupported = unsupportedEndpoint(endpoint);
  if (unsupported !== undefined) return unsupported;
  const path = /^file:/i.test(endpoint) ? belowOneOf(endpoint, folders) : normalize(endpoint);
  if (path !== undefined) return { path };
  const message = `"${shortText(endpoint)}" is not in the folder of the worker's catalog; name a folder in it`;
  return { code: 'BLW_CATALOG_DENIED', message };
}

/** What is wrong with an endpoint whatever the worker's catalog is. */
export function unsupportedEndpoint(endpoint: string): NotFound | undefined {
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(endpoint) ?? [];
  if (scheme === undefined || scheme.toLowerCase() === 'file') return undefined;
  const message = `catalogs at ${scheme}: are not supported yet; copy it into the folder of the worker's catalog and name it by a file: URL or a path in that folder`;
  return { code: 'BLW_UNSUPPORTED', message };
}

function belowOneOf(url: string, folders: readonly string[]): string | undefined {
  const path = pathOf(url);
  if (path === undefined) return undefined;
  for (const folder of folders) {
    if (path === folder || path.startsWith(`${folder}/`)) return normalize(path.slice(folder.length + 1));
  }
  return undefined;
}

function pathOf(url: string): string | undefined {
  const [, host = '', path] = /^file:(?:\/\/([^/]*))?(\/.*)$/i.exec(url) ?? [];
  if (path === undefined || !['', 'localhost'].includes(host)) return undefined;
  try {
    return decodeURIComponent(path).replace(/\/+$/, '');
  } catch {
    return undefined;
  }
}

/** A relative path without `.`, or undefined where it is absolute or has a `..`. */
function normalize(path: string): string | undefined {
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0')) return undefined;
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  return segments.includes('..') ? undefined : segments.join('/');
}
