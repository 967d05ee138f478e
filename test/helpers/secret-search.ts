/** A place that was searched: what it is called, and all that is in it. */
export interface SearchedPlace {
  readonly name: string;
  readonly content: Buffer;
}

/** A value that was found: where, which, in which form. */
export interface FoundValue {
  readonly place: string;
  readonly value: string;
  readonly form: string;
}

/** Shorter pieces of base64 would be found by chance. */
const MIN_PIECE = 8;

/**
 * The forms in which a value is looked for; made apart from those that are masked (src/activities/secrets/forms.ts), so that
 * what is forgotten there is found here.
 */
export function searchForms(value: string): Map<string, Buffer> {
  const bytes = Buffer.from(value);
  const percent = [...bytes].map((byte) => [byte, `%${byte.toString(16).padStart(2, '0')}`] as const);
  const encode = (isLeft: (char: string) => boolean) =>
    percent
      .map(([byte, code]) => (isLeft(String.fromCharCode(byte)) ? String.fromCharCode(byte) : code.toUpperCase()))
      .join('');
  const json = JSON.stringify(value).slice(1, -1);
  const forms: Record<string, string> = {
    'as it is': value,
    'URL-encoded': encodeURIComponent(value),
    'URL-encoded, lower case': encodeURIComponent(value).replace(/%../g, (code) => code.toLowerCase()),
    'URL-encoded, RFC 3986': encode((char) => /[A-Za-z0-9._~-]/.test(char)),
    'URL-encoded with slashes': encode((char) => /[A-Za-z0-9._~/-]/.test(char)),
    'URL-encoded with +': encodeURIComponent(value).replaceAll('%20', '+'),
    'as in a form': new URLSearchParams([['', value]]).toString().slice(1),
    hexadecimal: bytes.toString('hex'),
    'upper hexadecimal': bytes.toString('hex').toUpperCase(),
    JSON: json,
    'JSON of ASCII': json.replace(
      /[\u0080-\uffff]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
    'JSON in JSON': JSON.stringify(json).slice(1, -1),
    HTML: value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  };
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    // Without the characters that have bits of a neighbour in them.
    const piece = padded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
    forms[`base64, ${shift} on`] = piece;
    forms[`base64url, ${shift} on`] = piece.replaceAll('+', '-').replaceAll('/', '_');
  }
  const distinct = new Map<string, Buffer>();
  const seen = new Set<string>();
  for (const [name, form] of Object.entries(forms)) {
    if (form.length < MIN_PIECE || seen.has(form)) continue;
    seen.add(form);
    distinct.set(name, Buffer.from(form));
  }
  return distinct;
}

/** Looks for all forms of all values in all places. */
export function searchPlaces(places: readonly SearchedPlace[], values: readonly string[]): FoundValue[] {
  const found: FoundValue[] = [];
  for (const value of values) {
    for (const [form, bytes] of searchForms(value)) {
      for (const { name, content } of places) {
        if (content.includes(bytes)) found.push({ place: name, value: value.slice(0, 40), form });
      }
    }
  }
  return found;
}

/** The same place with something put into the middle of it. */
export function planted({ name, content }: SearchedPlace, bytes: Buffer): SearchedPlace {
  const middle = Math.floor(content.length / 2);
  return { name, content: Buffer.concat([content.subarray(0, middle), bytes, content.subarray(middle)]) };
}
