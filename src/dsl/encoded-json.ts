const encoder = new TextEncoder();

/** Without `g`, which would make it have a state. */
const NOT_ASCII = /[^\0-\x7f]/;

/**
 * What was encoded to be measured and not sent yet: a value of 100 MB takes half a second or more to encode. Only a cache:
 * the same bytes come out without it.
 */
const kept = new WeakMap<object, Uint8Array>();
/** Text is no key of a WeakMap; one is enough, since what is measured is sent next. */
let keptText: { readonly value: string; readonly bytes: Uint8Array } | undefined;

/** JSON below this is encoded again rather than kept, and so are texts; above the other these are more than a flow sends as one value. */
const KEPT_LENGTH = 65_536;
const MAX_KEPT_TEXT_LENGTH = 2_097_152;

/**
 * Size of a value as JSON in UTF-8; Infinity where it is longer than any text may be (512 Mi characters). What was encoded is
 * kept until the payload converter asks for it: the value must not change meanwhile.
 */
export function measureJson(value: unknown): number {
  return measure(value, (text) => {
    if (text.length < KEPT_LENGTH) {
      // It may have been larger before.
      if (typeof value === 'object' && value !== null) kept.delete(value);
      return utf8Length(text);
    }
    const bytes = encoder.encode(text);
    if (typeof value === 'object' && value !== null) kept.set(value, bytes);
    if (typeof value === 'string' && isKeptText(value)) keptText = { value, bytes };
    return bytes.length;
  });
}

function isKeptText({ length }: string): boolean {
  return length >= KEPT_LENGTH && length <= MAX_KEPT_TEXT_LENGTH;
}

/** The same for what is not sent: nothing is kept. */
export function jsonBytes(value: unknown): number {
  return measure(value, utf8Length);
}

function measure(value: unknown, sizeOf: (text: string) => number): number {
  try {
    const text = jsonOf(value);
    return text === undefined ? 0 : sizeOf(text);
  } catch (error) {
    if (isTooLong(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Most text is ASCII, and has as many bytes as characters: no array of them is made for the garbage collector. */
function utf8Length(text: string): number {
  return NOT_ASCII.test(text) ? encoder.encode(text).length : text.length;
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
  const text = jsonOf(value);
  return text === undefined ? undefined : encoder.encode(text);
}

/** Undefined for what is not JSON, which the type of `JSON.stringify` leaves out. */
function jsonOf(value: unknown): string | undefined {
  return JSON.stringify(value);
}
