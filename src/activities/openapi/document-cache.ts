import type { OpenApiDocument } from './openapi-document';

/** A document that was fetched before. */
export interface CachedDocument {
  readonly document: OpenApiDocument;
  /** Size of its text; what it takes in memory is some times that. */
  readonly bytes: number;
  /** Of its text: what was made of the document still holds where the same comes again. */
  readonly sha256: string;
  /** To ask the server whether it has changed (RFC 9110 section 8.8.3). */
  readonly etag?: string;
  /** Until then it is used without asking; milliseconds since 1970. */
  readonly freshUntil: number;
}

/** Documents by key, at most so many and so large together; the one that was used longest ago goes first. */
export class DocumentCache {
  readonly #entries = new Map<string, CachedDocument>();
  #bytes = 0;

  constructor(private readonly limits: { readonly maxEntries: number; readonly maxBytes: number }) {}

  /** The document, fresh or not; it counts as used. */
  get(key: string): CachedDocument | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // The last one in the map's order is the newest.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  /** Keeps a document, unless it alone is larger than all may be together. */
  set(key: string, entry: CachedDocument): void {
    this.#delete(key);
    if (entry.bytes > this.limits.maxBytes) return;
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.limits.maxEntries && this.#bytes <= this.limits.maxBytes) break;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}
