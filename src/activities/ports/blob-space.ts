/** A change of a tenant's blobs. */
export interface SpaceChange {
  readonly tenant: string;
  readonly id: string;
}

/** What becomes of a change that somebody wants to begin. */
export type SpaceAnswer =
  /** It may begin; `isLimited`: where it grows it has to ask. `limit`: bytes of all the tenant's blobs. */
  | { readonly kind: 'granted'; readonly id: string; readonly isLimited: boolean; readonly limit?: number }
  /** Nobody knows what the tenant's blobs take: count them, say so with `counted`, and ask again. */
  | { readonly kind: 'count'; readonly id: string }
  /** Somebody counts them, or changes are under way after which they have to be counted. */
  | { readonly kind: 'later' }
  /** There is no room for it now. `limit`: bytes of all the tenant's blobs; absent: that is not known now. */
  | { readonly kind: 'full'; readonly limit?: number };

/**
 * Keeps account of the bytes that each tenant's blobs take, and holds them to its quota. Every change is announced and reported,
 * so that one whose end nobody heard of is known: then the blobs are counted anew. JSON in and out: it is asked from other processes.
 */
export interface BlobSpace {
  /** Announces a change that adds so many bytes; 0 where that is not known, or it adds none. */
  begin(change: { readonly tenant: string; readonly bytes: number }): Promise<SpaceAnswer>;
  /** Asks for so many bytes in all. `limit` as above. */
  extend(
    change: SpaceChange & { readonly bytes: number },
  ): Promise<{ readonly isGranted: boolean; readonly limit?: number }>;
  /** The change is made, and the blobs take so much more or less; 0 where nothing was changed, null where it is not known. */
  end(change: SpaceChange & { readonly delta: number | null }): Promise<void>;
  /** All blobs of the tenant together, which nobody changed meanwhile. */
  counted(count: SpaceChange & { readonly bytes: number }): Promise<void>;
  /** Who made the change is gone, and nobody knows what became of it. */
  lose(change: SpaceChange): Promise<void>;
}

/** Methods, as a process asks for them by name. */
export const SPACE_METHODS = [
  'begin',
  'extend',
  'end',
  'counted',
  'lose',
] as const satisfies readonly (keyof BlobSpace)[];
