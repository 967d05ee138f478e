import type { ExpressionLanguage } from '../expressions/language';
import { shortText } from '../problems';

/** What may be read at a place, as far as a path is rewritten to it. */
export interface Readable {
  readonly language: ExpressionLanguage;
  readonly variables: readonly string[];
  /** Steps whose output may be read. */
  readonly steps: { has(name: string): boolean };
}

/** `$.a`, `.a`, `$a.b` or `a.b`, with indexes. */
const PATH = /^(\$\.|\$|\.)?([A-Za-z_][\w-]*)((?:\??\.\??[A-Za-z_$][\w-]*|\[(?:\d+|"[^"]*"|'[^']*')\])*)$/;

/** Other systems' names for what is read here as `workflow.input`, as the output of a step, and as the data. */
const INPUTS = ['inputs', 'params', 'parameters'];
const OUTPUTS = ['outputs', 'tasks', 'steps', 'nodes', 'jobs'];
const DATA = ['data', 'json', 'state'];

const RESULT_OF_STEP = /^\.(?:outputs?|results?|response|value)\b/;

/**
 * The path in the document's language for one that is written as in another: `.a` of jq, `$input.a`, JSONPath, `outputs.step.a`.
 * Undefined where it is none, or names nothing that is known; with `isData`, an unknown name is a property of the data.
 */
export function rewritePath(text: string, readable: Readable, { isData = false } = {}): string | undefined {
  const [, lead = '', name = '', rest = ''] = PATH.exec(text.trim().slice(0, 300)) ?? [];
  if (name === '') return undefined;
  const tail = rest.replace(/^\?\./, '.');
  if (lead === '.' || lead === '$.') return fromData(name, tail, readable.language);
  const [, step, afterStep = ''] = /^\.([A-Za-z_][\w-]*)(.*)$/s.exec(tail) ?? [];
  if (OUTPUTS.includes(name) && step !== undefined && readable.steps.has(step))
    return outputOf(step, afterStep, readable);
  if (readable.variables.includes(name) && name !== 'data') return variable(name, readable.language) + tail;
  if (readable.steps.has(name)) return outputOf(name, tail, readable);
  if (INPUTS.includes(name)) return `${variable('workflow', readable.language)}.input${tail}`;
  if (DATA.includes(name) && step !== undefined) return fromData(step, afterStep, readable.language);
  return isData && readable.variables.includes('data') ? fromData(name, tail, readable.language) : undefined;
}

function outputOf(step: string, tail: string, { language }: Readable): string {
  return `${stepPath(step, language)}.output${tail.replace(RESULT_OF_STEP, '')}`;
}

/** `steps.NAME` in a language. */
export function stepPath(step: string, language: ExpressionLanguage): string {
  const steps = variable('steps', language);
  if (/^[A-Za-z_]\w*$/.test(step)) return `${steps}.${step}`;
  const name = shortText(step);
  return language === 'jsonata' ? `${steps}.\`${name}\`` : `${steps}["${name}"]`;
}

function variable(name: string, language: ExpressionLanguage): string {
  return language === 'cel' ? name : `$${name}`;
}

function fromData(name: string, tail: string, language: ExpressionLanguage): string {
  const isPlain = /^[A-Za-z_]\w*$/.test(name);
  if (language === 'jsonata') return `${isPlain ? name : `\`${name}\``}${tail}`;
  const root = language === 'cel' ? 'data' : '.';
  if (!isPlain) return `${root}["${name}"]${tail}`;
  return language === 'cel' ? `data.${name}${tail}` : `.${name}${tail}`;
}
