import type { ExpressionReferences, StepProperty } from './check';
import { jqTokens } from './jq-text';
import { jsonataTokens } from './jsonata-text';
import type { Token } from './token';

/** Languages that are read as text here; their parsers are elsewhere. */
export type ForeignLanguage = 'jq' | 'jsonata';

/** The tokens that mean something: no comments, no white space. */
export function foreignTokens(expression: string, language: ForeignLanguage): Token[] {
  const tokens = language === 'jq' ? jqTokens(expression) : jsonataTokens(expression);
  return [...tokens].filter(({ kind, text }) => kind !== 'comment' && (kind !== 'sign' || text.trim() !== ''));
}

/**
 * What an expression in jq or JSONata reads, from its text alone: `$steps.name` and `$steps["name"]` name a step, any other
 * use of `$steps` may read all of them. Never too little: where the text does not tell, it is taken to be read.
 */
export function foreignReferences(expression: string, language: ForeignLanguage): ExpressionReferences {
  const tokens = foreignTokens(expression, language);
  const steps = new Set<string>();
  let isComputed = false;
  let definition = tokens.some(({ kind, text }) => (kind === 'name' || kind === 'string') && text === 'definition');
  for (const [index, { kind, text }] of tokens.entries()) {
    if (kind !== 'variable') continue;
    const property = propertyAfter(tokens, index, language);
    if (text === 'steps') {
      if (property === undefined) isComputed = true;
      else steps.add(property);
    }
    if ((text === 'workflow' || text === 'task') && property === undefined) definition = true;
  }
  return { steps: isComputed ? true : [...steps], definition };
}

/** What is read of steps that are named, `$steps.name.property`, where the text tells. */
export function foreignStepProperties(expression: string, language: ForeignLanguage): StepProperty[] {
  const tokens = foreignTokens(expression, language);
  return tokens.flatMap(({ kind, text }, index) => {
    if (kind !== 'variable' || text !== 'steps') return [];
    const [step, property] = [dottedName(tokens, index + 1), dottedName(tokens, index + 3)];
    return step === undefined || property === undefined ? [] : [{ step, property }];
  });
}

/** The name behind a dot, both without a gap. */
function dottedName(tokens: readonly Token[], index: number): string | undefined {
  const [before, dot, name] = tokens.slice(index - 1, index + 2);
  const isAdjacent = before?.end === dot?.at && dot?.end === name?.at;
  return isAdjacent && dot?.kind === 'sign' && dot.text === '.' && name?.kind === 'name' ? name.text : undefined;
}

/** Name of the property that is read of a variable, where the text tells: `.name`, `."name"`; in jq also `["name"]`. */
function propertyAfter(tokens: readonly Token[], index: number, language: ForeignLanguage): string | undefined {
  const depth = tokens[index]?.depth;
  let [first, second, third] = tokens.slice(index + 1, index + 4);
  const isDot = first?.kind === 'sign' && first.text === '.';
  if (isDot && (second?.kind === 'name' || second?.kind === 'string') && second.depth === depth) return second.text;
  if (language !== 'jq') return undefined;
  if (isDot) [first, second, third] = tokens.slice(index + 2, index + 5);
  const isInBrackets = first?.text === '[' && second?.kind === 'string' && third?.text === ']';
  return isInBrackets && third?.depth === depth ? second?.text : undefined;
}
