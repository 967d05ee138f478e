import type { ResourceClass } from './block-spec';
import type { ExpressionLanguage } from './expressions/language';
import { isWholeExpression } from './expressions/template';
import { isJsonObject, type JsonObject } from './json';

/** The block that runs scripts. */
export const SCRIPT_BLOCK = 'script.run';

/** The pool of scripts, whatever a flow says: they compute for as long as they may, and who may run them needs the scope of this class. */
export const SCRIPT_POOL: ResourceClass = 'cpu';

/** Most CPU time of a script, in ms. */
export const MAX_SCRIPT_CPU_MS = 300_000;

/** True for `run: { script: … }`. */
export function isScriptTask({ run }: JsonObject): boolean {
  return isJsonObject(run) && run.script !== undefined;
}

/** A valid `run: { script: … }` as the call of a block that it is. */
export function scriptCall({ run, ...task }: JsonObject): JsonObject {
  const { script, return: returned } = run as JsonObject;
  const { code = '', arguments: args, stdin, environment } = script as JsonObject;
  const process: JsonObject = {};
  if (args !== undefined) process.arguments = args;
  if (stdin !== undefined) process.stdin = stdin;
  if (environment !== undefined) process.environment = environment;
  if (returned !== undefined) process.return = returned;
  return { ...task, call: SCRIPT_BLOCK, with: { code, process } };
}

/**
 * Takes the code of a script out of its arguments where it is not evaluated: JavaScript has `${ … }` in its own texts, so that code is
 * what stands in the document. Only code that is one expression as a whole is evaluated; it is no JavaScript.
 */
export function withoutCode(call: string, args: JsonObject, language: ExpressionLanguage): JsonObject {
  const { code, ...rest } = args;
  const isEvaluated = typeof code !== 'string' || isWholeExpression(code, language);
  return call !== SCRIPT_BLOCK || isEvaluated ? args : rest;
}
