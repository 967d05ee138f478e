import { FlowError } from '../../dsl/errors';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { BlockFailure } from '../block-failure';
import { stackFrames } from '../stack-frames';
import { formsOf, MIN_LENGTH_INSIDE } from './forms';

/** What stands in the place of a secret. */
const MASK = '***';

/** Where a message was cut: at its end, and where blocks and databases say so. */
const CUT = /…|\.\.\.|$/g;

/** Blanks out values in what a step gives, in the forms that {@link formsOf} knows. */
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
    return this.#whole.size === 0 ? value : this.#walk(value, (text) => this.text(text));
  }

  #walk(value: Json, blank: (text: string) => string): Json {
    if (typeof value === 'string') return blank(value);
    if (typeof value === 'number') return this.#whole.has(String(value)) ? MASK : value;
    if (Array.isArray(value)) return value.map((item) => this.#walk(item, blank));
    if (!isJsonObject(value)) return value;
    const masked: JsonObject = {};
    for (const [key, item] of Object.entries(value)) setOwn(masked, blank(key), this.#walk(item, blank));
    return masked;
  }

  /** The error, without what caused it: a cause may quote anything. What is no error of a block or an abort stays. */
  error(error: unknown): unknown {
    if (this.#whole.size === 0) return error;
    if (error instanceof BlockFailure && error.data.code !== undefined) {
      const { title: _, detail = '', status, data, code } = error.data;
      const { cause: __, ...options } = error.options;
      const content = data === undefined ? {} : { data: this.cutJson(data) };
      return new BlockFailure(code ?? 'BLW_BLOCK_FAILED', this.cutText(detail), { ...options, status, ...content });
    }
    if (error instanceof FlowError) {
      const { detail, data } = error.data;
      const content = { ...(detail === undefined ? {} : { detail: this.cutText(detail) }) };
      return new FlowError({ ...error.data, ...content, ...(data === undefined ? {} : { data: this.cutJson(data) }) });
    }
    if (!(error instanceof Error)) return error;
    const message = this.cutText(error.message);
    if (message === error.message) return error;
    const { name } = error;
    return Object.assign(new Error(message), { name, stack: `${name}: ${message}\n${stackFrames(error) ?? ''}` });
  }

  /** As {@link text}, also for a value of which only the beginning is left, since errors quote the beginning of things. */
  cutText(text: string): string {
    if (this.#whole.size === 0) return text;
    const masked = this.text(text);
    let result = '';
    let from = 0;
    for (const { index } of masked.matchAll(CUT)) {
      const begin = index - this.#longestPrefixBefore(masked, index);
      if (begin === index || begin < from) continue;
      result += `${masked.slice(from, begin)}${MASK}`;
      from = index;
    }
    return result + masked.slice(from);
  }

  /** As {@link json}, also for texts of which only the beginning is left. */
  cutJson(value: Json): Json {
    if (this.#whole.size === 0) return value;
    return this.#walk(value, (text) => this.cutText(text));
  }

  /** Characters before `end` that are the beginning of a value; 0 where there are too few to tell. */
  #longestPrefixBefore(text: string, end: number): number {
    let longest = 0;
    for (const form of this.#inside) {
      longest = Math.max(longest, beginningAtEnd(form, text.slice(Math.max(0, end - form.length + 1), end)));
    }
    return longest < MIN_LENGTH_INSIDE ? 0 : longest;
  }

  #regExp(): RegExp {
    this.#pattern ??= patternOf([...this.#inside]);
    return this.#pattern;
  }
}

/** How much of the beginning of `form` the text ends with; in linear time (Knuth, Morris, Pratt), since both may be long. */
function beginningAtEnd(form: string, text: string): number {
  const fallbacks = [0];
  const extend = (length: number, char: string | undefined): number => {
    let matched = length;
    while (matched > 0 && form[matched] !== char) matched = fallbacks[matched - 1] ?? 0;
    return form[matched] === char ? matched + 1 : 0;
  };
  for (let index = 1; index < form.length; index += 1) fallbacks.push(extend(fallbacks[index - 1] ?? 0, form[index]));
  let matched = 0;
  for (const char of text.split('')) matched = extend(matched, char);
  return matched;
}

/** The longest first: a value may be a part of another one. */
function patternOf(forms: string[]): RegExp {
  const sorted = forms.sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}
