import { FlowError } from '../../dsl/errors';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { BlockFailure } from '../block-failure';

/** What stands in the place of a secret. */
const MASK = '***';

/** A shorter value is masked only where it is all of a text: inside of one it would be found everywhere. */
const MIN_LENGTH_INSIDE = 4;
/** Likewise for a piece of base64 that a value makes inside of a longer one. */
const MIN_BASE64_LENGTH = 6;

/** Blanks out values in what a step gives: as they are, URL-encoded, in base64 (also inside of more) and escaped as in JSON. */
export class Mask {
  readonly #whole = new Set<string>();
  readonly #inside = new Set<string>();
  #pattern: RegExp | undefined;

  /** From now on this text is masked. */
  add(value: string): void {
    if (value === '' || this.#whole.has(value)) return;
    this.#whole.add(value);
    if (value.length >= MIN_LENGTH_INSIDE) for (const form of formsOf(value)) this.#inside.add(form);
    this.#pattern = undefined;
  }

  /** Every text and number in a value. */
  addAll(value: Json): void {
    if (typeof value === 'string' || typeof value === 'number') this.add(String(value));
    else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) this.addAll(item);
  }

  text(text: string): string {
    if (this.#whole.size === 0) return text;
    if (this.#whole.has(text)) return MASK;
    return this.#inside.size === 0 ? text : text.replace(this.#regExp(), MASK);
  }

  json(value: Json): Json {
    if (this.#whole.size === 0) return value;
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'number') return this.#whole.has(String(value)) ? MASK : value;
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (!isJsonObject(value)) return value;
    const masked: JsonObject = {};
    for (const [key, item] of Object.entries(value)) setOwn(masked, this.text(key), this.json(item));
    return masked;
  }

  /** The error, without what caused it: a cause may quote anything. What is no error of a block or an abort stays. */
  error(error: unknown): unknown {
    if (this.#whole.size === 0) return error;
    if (error instanceof BlockFailure && error.data.code !== undefined) {
      const { title: _, detail = '', status, data, code } = error.data;
      const { cause: __, ...options } = error.options;
      const content = data === undefined ? {} : { data: this.json(data) };
      return new BlockFailure(code ?? 'BLW_BLOCK_FAILED', this.text(detail), { ...options, status, ...content });
    }
    if (error instanceof FlowError) {
      const { detail, data } = error.data;
      const content = { ...(detail === undefined ? {} : { detail: this.text(detail) }) };
      return new FlowError({ ...error.data, ...content, ...(data === undefined ? {} : { data: this.json(data) }) });
    }
    if (!(error instanceof Error) || error.message === this.text(error.message)) return error;
    return Object.assign(new Error(this.text(error.message)), { name: error.name });
  }

  #regExp(): RegExp {
    this.#pattern ??= patternOf([...this.#inside]);
    return this.#pattern;
  }
}

/** The longest first: a value may be a part of another one. */
function patternOf(forms: string[]): RegExp {
  const sorted = forms.sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}

function formsOf(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const forms = [
    value,
    ...urlForms(value),
    // Forms, which write a space as +.
    new URLSearchParams({ v: value }).toString().slice(2),
    json,
    json.replaceAll('/', '\\/'),
    json.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
    ...base64Forms(value),
  ];
  return forms.filter((form) => form.length >= MIN_LENGTH_INSIDE);
}

/** Percent-encoded as a part of a URL, in upper and lower case, and as the URL parser writes a path and a query. */
function urlForms(value: string): string[] {
  const encoded = encodeURIComponent(Buffer.from(value).toString());
  const url = new URL('http://host/');
  url.pathname = `/${value}`;
  url.search = value;
  const lower = encoded.replace(/%../g, (code) => code.toLowerCase());
  return [encoded, lower, url.pathname.slice(1), url.search.slice(1)];
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
