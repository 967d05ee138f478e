const encoder = new TextEncoder();

/**
 * What was encoded to be measured and not sent yet: a value of 100 MB takes half a second or more to encode. Only a cache:
 * the same bytes come out without it.
 */
const kept = new WeakMap<object, Uint8Array>();
/** Text is no key of a WeakMap; one is enough, since what is measured is sent next. */
let keptText: { readonly value: string; readonly bytes: Uint8Array } | undefined;

/** Texts below this are encoded again rather than kept; above the other they are more than a flow sends as one value. */
const KEPT_TEXT_LENGTH = 65_536;
const MAX_KEPT_TEXT_LENGTH = 2_097_152;

/**
 * Size of a value as JSON in UTF-8; Infinity where it is longer than any text may be (512 Mi characters). What was encoded is
 * kept until the payload converter asks for it: the value must not change meanwhile.
 */
export function measureJson(value: unknown): number {
  try {
    const bytes = encoded(value) ?? new Uint8Array();
    if (typeof value === 'object' && value !== null) kept.set(value, bytes);
    if (typeof value === 'string' && isKeptText(value)) keptText = { value, bytes };
    return bytes.length;
  } catch (error) {
    if (isTooLong(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function isKeptText({ length }: string): boolean {
  return length >= KEPT_TEXT_LENGTH && length <= MAX_KEPT_TEXT_LENGTH;
}

/** The same for what is not sent: nothing is kept. */
export function jsonBytes(value: unknown): number {
  try {
    return encoded(value)?.length ?? 0;
  } catch (error) {
    if (isTooLong(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** True for V8's error about a text that would be longer than a text may be. */
export function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

/** The JSON of a value in UTF-8, for who sends it: what was kept is forgotten. Undefined for what is not JSON. */
export function takeEncoded(value: unknown): Uint8Array | undefined {
  const bytes = takeKept(value);
  return bytes ?? encoded(value);
}

function takeKept(value: unknown): Uint8Array | undefined {
  if (typeof value === 'string') {
    const text = keptText;
    keptText = undefined;
    return text?.value === value ? text.bytes : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const bytes = kept.get(value);
  kept.delete(value);
  return bytes;
}

function encoded(value: unknown): Uint8Array | undefined {
  const text: string | undefined = JSON.stringify(value);
  return text === undefined ? undefined : encoder.encode(text);
}
