import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { encodeBlob, encodeFolders, encodeTenant, parseBlobPath, parseListPrefix } from './blob-path';

/**
 * Where a tenant's files lie, as absolute paths:
 *
 *     <root>/lock.sqlite                     what writers exclude each other with (blob-lock.ts)
 *     <root>/<tenant>=t/objects/ab/<sha256>  contents, named by their hash, never changed
 *     <root>/<tenant>=t/blobs/…=d/…=b        pointers, a tree like the paths (blob-path.ts)
 *     <root>/<tenant>=t/deleted/<hash>       pointers that a step took out, or made before another did, so that its retry knows
 *     <root>/<tenant>=t/temporary/<uuid>     what is being written
 */
export interface TenantPlaces {
  /** Root of the whole store, free of links. */
  readonly root: string;
  readonly folder: string;
  readonly objects: string;
  readonly blobs: string;
  readonly deleted: string;
  readonly temporary: string;
}

/** Where one blob lies. */
export interface BlobPlace {
  readonly tenant: TenantPlaces;
  /** The blob's own path. */
  readonly path: string;
  /** Folder of the pointer. */
  readonly folder: string;
  readonly pointer: string;
}

/** Places of the tenant whose folder has this name. */
export function tenantPlacesAt(root: string, folderName: string): TenantPlaces {
  const folder = join(root, folderName);
  return {
    root,
    folder,
    objects: join(folder, 'objects'),
    blobs: join(folder, 'blobs'),
    deleted: join(folder, 'deleted'),
    temporary: join(folder, 'temporary'),
  };
}

/** Places of a tenant. @throws BLW_FS_PATH for a bad tenant name */
export function tenantPlaces(root: string, tenant: string): TenantPlaces {
  return tenantPlacesAt(root, encodeTenant(tenant));
}

/** Place of a blob. @throws BLW_FS_PATH for a bad tenant or path */
export function blobPlace(root: string, tenant: string, path: string): BlobPlace {
  const places = tenantPlaces(root, tenant);
  const names = encodeBlob(parseBlobPath(path));
  const folder = join(places.blobs, ...names.slice(0, -1));
  return { tenant: places, path, folder, pointer: join(folder, names.at(-1) ?? '') };
}

/** The lowest folder that holds every blob with a prefix, and the text that all paths below it begin with. */
export function listStart(places: TenantPlaces, prefix: string): { folder: string; base: string } {
  const { segments, base } = parseListPrefix(prefix);
  return { folder: join(places.blobs, ...encodeFolders(segments)), base };
}

/** Folder of an object, and the object. */
export function objectPlace(places: TenantPlaces, sha256: string): { folder: string; file: string } {
  const folder = join(places.objects, sha256.slice(0, 2));
  return { folder, file: join(folder, sha256) };
}

/** Under what a blob's pointer is kept that a step took out, or that it made: hex. `use` keeps the two apart. */
export function markOf(place: BlobPlace, use: 'delete' | 'put', key: string): string {
  return createHash('sha256')
    .update(`${use === 'put' ? 'put\0' : ''}${key}\0${place.path}`)
    .digest('hex');
}

/** Where that pointer is kept. */
export function markPlace(place: BlobPlace, mark: string): string {
  return join(place.tenant.deleted, mark);
}
