import { FileCatalog } from '../activities/ports/file-catalog';
import { NO_CATALOG } from '../activities/ports/no-catalog';
import type { Catalog } from '../dsl/catalog/library';
import { FlowError, flowError } from '../dsl/errors';

/** The worker's catalog. Throws BLW_CONFIG where its folder cannot be read: better at the start than with each flow. */
export async function openCatalog(folder: string | undefined): Promise<Catalog> {
  if (folder === undefined) return NO_CATALOG;
  const catalog = new FileCatalog(folder);
  try {
    await catalog.read();
  } catch (cause) {
    if (cause instanceof FlowError) throw flowError('BLW_CONFIG', `--catalog: ${cause.message}`, { cause });
    throw cause;
  }
  return catalog;
}
