import type { BlobSpace } from '../../src/activities/ports/blob-space';

/** An account of blobs that has room for everything. */
export const UNLIMITED_SPACE: BlobSpace = {
  begin: async () => ({ kind: 'granted', id: 'any', isLimited: false }),
  extend: async () => ({ isGranted: true }),
  end: async () => undefined,
  counted: async () => undefined,
  lose: async () => undefined,
};
