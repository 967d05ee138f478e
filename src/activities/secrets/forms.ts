/** A shorter value is masked only where it is all of a text: inside of one it would be found everywhere. */
export const MIN_LENGTH_INSIDE = 4;
/** Likewise for a piece of base64 that a value makes inside of a longer one. */
const MIN_BASE64_LENGTH = 6;

/**
 * A value in the forms in which services and databases say it back: as it is, in small letters, URL-encoded, in hexadecimal, in
 * base64 (also inside of more), escaped as in JSON (also JSON in JSON), in HTML and XML, and in SQL. Without those that are too
 * short to be looked for inside of a text.
 */
export function formsOf(value: string): ReadonlySet<string> {
  const forms = [
    value,
    // As host names are.
    value.toLowerCase(),
    ...urlForms(value),
    ...hexForms(value),
    ...jsonForms(value),
    ...markupForms(value),
    value.replaceAll("'", "''"),
    ...base64Forms(value),
  ];
  return new Set(forms.filter((form) => form.length >= MIN_LENGTH_INSIDE));
}

/** What encoders leave as it is beside letters and digits: JavaScript's, RFC 3986, the same with slashes, those of forms. */
const UNESCAPED = ["-_.!~*'()", '-_.~', '-_.~/', '*-._'];

/**
 * Percent-encoded as a part of a URL, in upper and lower case, with spaces as %20 and as +, and as the URL parser writes a path
 * and a query.
 */
function urlForms(value: string): string[] {
  const url = new URL('http://host/');
  url.pathname = `/${value}`;
  url.search = value;
  const encoded = UNESCAPED.flatMap((unescaped) => {
    const text = percentEncode(value, unescaped);
    return [text, text.replaceAll('%20', '+')];
  });
  const forms = [...encoded, url.pathname.slice(1), url.search.slice(1)];
  return [...forms, ...forms.map((form) => form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))];
}

function percentEncode(value: string, unescaped: string): string {
  let text = '';
  for (const byte of Buffer.from(value)) {
    const char = String.fromCharCode(byte);
    const isLeft = /[A-Za-z0-9]/.test(char) || unescaped.includes(char);
    text += isLeft ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

function hexForms(value: string): string[] {
  const hex = Buffer.from(value).toString('hex');
  return [hex, hex.toUpperCase()];
}

function jsonForms(value: string): string[] {
  const once = escaped(value);
  return [once, once.replaceAll('/', '\\/'), asciiOnly(once), escaped(once), escaped(asciiOnly(once))];
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function asciiOnly(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** With quotes escaped as attributes have them, and left as text may have them. */
function markupForms(value: string): string[] {
  const text = value.replace(/[&<>]/g, (char) => ENTITIES[char as keyof typeof ENTITIES]);
  const attribute = value.replace(/[&<>"']/g, (char) => ENTITIES[char as keyof typeof ENTITIES]);
  return [text, attribute, attribute.replaceAll('&#39;', '&#x27;'), attribute.replaceAll('&#39;', '&apos;')];
}

/**
 * In base64 a text has three forms, by its place in what is encoded; of each, the characters that no neighbour changes.
 * Both alphabets (RFC 4648 sections 4 and 5).
 */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value);
  const pieces = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const from = Math.ceil((shift * 8) / 6);
    return text.slice(from, Math.floor(((shift + bytes.length) * 8) / 6));
  });
  const alone = bytes.toString('base64').replace(/=+$/, '');
  return [alone, ...pieces]
    .filter((piece) => piece.length >= MIN_BASE64_LENGTH)
    .flatMap((piece) => [piece, piece.replaceAll('+', '-').replaceAll('/', '_')]);
}
