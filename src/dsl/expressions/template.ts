import { isJsonObject, type Json, type JsonObject } from '../json';
import { jqTokens } from './jq-text';
import { jsonataTokens } from './jsonata-text';
import type { ExpressionLanguage } from './language';
import { closingBraceIn } from './token';

/**
 * A value of a document with its expressions found, ready to be evaluated. It travels in the plan, so in history:
 * add forms, never change one.
 */
export type Template =
  | { readonly value: Json }
  /** The value of one expression. */
  | { readonly expr: string }
  /** Text with expressions in it. */
  | { readonly text: readonly (string | { readonly expr: string })[] }
  /** A URI with `{name}` in it (OWS, "URI Template"): top-level properties of the data, percent-encoded. */
  | { readonly uri: readonly (string | { readonly variable: string })[] }
  | { readonly list: readonly Template[] }
  | { readonly map: readonly (readonly [string, Template])[] };

/** One piece of a string: literal text, or an expression with the offset at which its text begins. */
export type StringPart = { readonly text: string } | { readonly expr: string; readonly offset: number };

/**
 * Splits a string at its `${ … }`. Braces and quotes inside an expression are followed as its language has them, so that
 * `${ {"a": "}"} }` is one. Returns the offset of a `${` that is never closed as `unclosedAt`.
 */
export function splitString(
  source: string,
  language: ExpressionLanguage,
): { parts: StringPart[]; unclosedAt?: number } {
  const parts: StringPart[] = [];
  let literalFrom = 0;
  for (let at = source.indexOf('${'); at !== -1; at = source.indexOf('${', literalFrom)) {
    const end = CLOSING_BRACE[language](source, at + 2);
    if (end === -1) return { parts, unclosedAt: at };
    if (at > literalFrom) parts.push({ text: source.slice(literalFrom, at) });
    parts.push({ expr: source.slice(at + 2, end).trim(), offset: at + 2 });
    literalFrom = end + 1;
  }
  if (literalFrom < source.length) parts.push({ text: source.slice(literalFrom) });
  return { parts };
}

const CLOSING_BRACE: Record<ExpressionLanguage, (source: string, from: number) => number> = {
  cel: celClosingBrace,
  jq: (source, from) => closingBraceIn(jqTokens(source, from)),
  jsonata: (source, from) => closingBraceIn(jsonataTokens(source, from)),
};

function celClosingBrace(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === '"' || char === "'") {
      at = skipQuoted(source, at);
      if (at === -1) return -1;
    } else if (char === '{') depth += 1;
    else if (char === '}') {
      if (depth === 0) return at;
      depth -= 1;
    }
  }
  return -1;
}

/** Offset of the closing quote, or -1. CEL quotes with ' or ", once or three times, and escapes with a backslash. */
function skipQuoted(source: string, from: number): number {
  const quote = source.charAt(from);
  const fence = source.startsWith(quote.repeat(3), from) ? quote.repeat(3) : quote;
  for (let at = from + fence.length; at < source.length; at += 1) {
    if (source.charAt(at) === '\\') at += 1;
    else if (source.startsWith(fence, at)) return at + fence.length - 1;
  }
  return -1;
}

/** True where a string has at least one `${`. */
export function hasExpression(source: string): boolean {
  return source.includes('${');
}

/** True where a string is one `${ … }` and nothing else. */
export function isWholeExpression(source: string, language: ExpressionLanguage): boolean {
  const { parts, unclosedAt } = splitString(source.trim(), language);
  return unclosedAt === undefined && parts.length === 1 && parts.some((part) => 'expr' in part);
}

/** The expression of a field that is an expression as a whole: `${ … }` may be left out (OWS, "Runtime Expressions"). */
export function bareExpression(source: string, language: ExpressionLanguage): string {
  const { parts } = splitString(source.trim(), language);
  const [only] = parts;
  return parts.length === 1 && only !== undefined && 'expr' in only ? only.expr : source.trim();
}

/** Finds the expressions in a value, at any depth; keys are literal. The language is CEL where none is given. */
export function compileTemplate(value: Json, language: ExpressionLanguage): Template {
  if (typeof value === 'string') return compileString(value, language);
  if (Array.isArray(value)) {
    const list = value.map((item) => compileTemplate(item, language));
    return list.every(isConstant) ? { value } : { list };
  }
  if (isJsonObject(value)) {
    return compileObject(value, (_, item) => compileTemplate(item, language));
  }
  return { value };
}

function compileString(source: string, language: ExpressionLanguage): Template {
  if (!hasExpression(source)) return { value: source };
  const { parts } = splitString(source, language);
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && 'expr' in only) return { expr: only.expr };
  return { text: parts.map((part) => ('expr' in part ? { expr: part.expr } : part.text)) };
}

/** A URI: `${ }` as anywhere, else `{name}` (never both in one string). */
export function compileUri(source: string, language: ExpressionLanguage): Template {
  if (hasExpression(source)) return compileString(source, language);
  const parts = source.split(/\{([^{}]*)\}/);
  if (parts.length === 1) return { value: source };
  return {
    uri: parts.map((part, index) => (index % 2 === 0 ? part : { variable: part })).filter((part) => part !== ''),
  };
}

/** An object whose values are compiled each in a way of its own; one without expressions is a value, as it stands. */
export function compileObject(object: JsonObject, compile: (key: string, value: Json) => Template): Template {
  const map = Object.entries(object).map(([key, value]) => [key, compile(key, value)] as const);
  return map.every(([, item]) => isConstant(item)) ? { value: object } : { map };
}

/** As {@link compileTemplate}, with URI templates under the keys that are named. */
export function compileWithUris(object: JsonObject, uris: readonly string[], language: ExpressionLanguage): Template {
  return compileObject(object, (key, value) =>
    typeof value === 'string' && uris.includes(key) ? compileUri(value, language) : compileTemplate(value, language),
  );
}

export function isConstant(template: Template): template is { readonly value: Json } {
  return 'value' in template;
}

/** Every expression in a template, in the order of the text. */
export function* templateExpressions(template: Template): Generator<string> {
  if ('expr' in template) {
    yield template.expr;
  } else if ('text' in template) {
    for (const part of template.text) if (typeof part !== 'string') yield part.expr;
  } else if ('list' in template) {
    for (const item of template.list) yield* templateExpressions(item);
  } else if ('map' in template) {
    for (const [, item] of template.map) yield* templateExpressions(item);
  }
}
