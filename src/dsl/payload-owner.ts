/**
 * Metadata between a worker's converters and its codec, which takes it off: the tenant whose key the payload is encrypted with,
 * or was. It never leaves the worker, and what comes in with it from outside loses it.
 */
export const OWNER_METADATA = 'beamline-owner';

/**
 * Key of the tenant that a codec has found for a serialization context of Temporal's SDK, on the object itself: the codec and
 * the failure converter are loaded apart from each other and have nothing else in common.
 */
export const CONTEXT_OWNER = Symbol.for('beamline.payload-owner');

/** The tenant of a context, where its payloads are encrypted. */
export function contextOwner(context: object | undefined): string | undefined {
  const owner: unknown = context === undefined ? undefined : Reflect.get(context, CONTEXT_OWNER);
  return typeof owner === 'string' ? owner : undefined;
}
