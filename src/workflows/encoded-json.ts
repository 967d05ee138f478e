const encoder = new TextEncoder();

/** What was encoded to be measured and not sent yet; a value of 100 MB takes half a second to encode. */
const kept = new WeakMap<object, Uint8Array>();

/**
 * Size of a value as JSON in UTF-8; Infinity where it is longer than any text may be (512 Mi characters). What was encoded is
 * kept until the payload converter asks for it: the value must not change meanwhile.
 */
export function measureJson(value: object): number {
  try {
    const bytes = encoded(value) ?? new Uint8Array();
    kept.set(value, bytes);
    return bytes.length;
  } catch (error) {
    if (isTooLong(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** True for V8's error about a text that would be longer than a text may be. */
export function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

/** The same for who sends it: what was kept is forgotten. Undefined for what is not JSON. */
export function takeEncoded(value: object): Uint8Array | undefined {
  const bytes = kept.get(value);
  if (bytes === undefined) return encoded(value);
  kept.delete(value);
  return bytes;
}

function encoded(value: object): Uint8Array | undefined {
  const text: string | undefined = JSON.stringify(value);
  return text === undefined ? undefined : encoder.encode(text);
}
