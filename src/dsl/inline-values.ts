/** In the metadata of a payload: it stays as it is, however large. The value says nothing. */
export const INLINE_METADATA = 'beamline.inline';

const marked = new WeakSet<object>();

/**
 * Marks a value that is sent next to stay readable for everybody: answers to queries are read with the Temporal CLI and UI,
 * which know no claims. Larger than 1.9 MB it is kept in the payload store all the same, since Temporal would refuse it.
 */
export function inline<T extends object>(value: T): T {
  marked.add(value);
  return value;
}

/** True for a value that {@link inline} marked. */
export function isInline(value: unknown): boolean {
  return typeof value === 'object' && value !== null && marked.has(value);
}
