import { parseDocumentText } from '../src/dsl/document';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../src/dsl/json';
import { formatProblem } from '../src/dsl/problems';
import type { FeatureStep } from './features';

/** What a scenario asserts about the flow, or about one of its tasks. */
export type Check =
  | { readonly kind: 'flowEnds'; readonly ending: Ending }
  | { readonly kind: 'hasProperties'; readonly paths: readonly string[] }
  | { readonly kind: 'propertyIs'; readonly path: string; readonly value: Json }
  | { readonly kind: 'itemCount'; readonly path: string; readonly count: number }
  | { readonly kind: 'runsFirst' | 'runsLast'; readonly task: string }
  | { readonly kind: 'runsBefore'; readonly task: string; readonly other: string }
  | { readonly kind: 'taskEnds'; readonly task: string; readonly ending: Ending };

/** How a flow or a task ends; `output` and `error` where the scenario gives them. */
export type Ending =
  | { readonly status: 'cancelled' }
  | { readonly status: 'completed'; readonly output?: Json }
  | { readonly status: 'faulted'; readonly error?: JsonObject };

/** What a step of a scenario means. */
export type Step =
  | { readonly kind: 'definition'; readonly flow: JsonObject }
  | { readonly kind: 'input'; readonly input: Json }
  | { readonly kind: 'execute' }
  | { readonly kind: 'check'; readonly check: Check };

/** The words of a pattern, and the text below the step. */
interface Match {
  readonly words: readonly string[];
  /** The text below, as YAML or JSON. Throws an Error where there is none, or it is neither. */
  value(): Json;
  /** As `value`, for what must be an object. */
  object(): JsonObject;
}

const check = (value: Check): Step => ({ kind: 'check', check: value });
const flowEnds = (ending: Ending): Step => check({ kind: 'flowEnds', ending });
const taskEnds = (task: string | undefined, ending: Ending): Step =>
  check({ kind: 'taskEnds', task: nameOf(task), ending });

/** The patterns of the kit's README, "Steps". Those of the flow come first, since a task may have any name. */
const PATTERNS: readonly (readonly [RegExp, (match: Match) => Step])[] = [
  [/^a workflow with definition:?$/, ({ object }) => ({ kind: 'definition', flow: object() })],
  [/^(?:given )?the workflow input is:?$/, ({ value }) => ({ kind: 'input', input: value() })],
  [/^the workflow is executed$/, () => ({ kind: 'execute' })],
  [/^the workflow should cancel$/, () => flowEnds({ status: 'cancelled' })],
  [/^the workflow should complete$/, () => flowEnds({ status: 'completed' })],
  [/^the workflow should complete with output:?$/, ({ value }) => flowEnds({ status: 'completed', output: value() })],
  [/^the workflow should fault$/, () => flowEnds({ status: 'faulted' })],
  [/^the workflow should fault with error:?$/, ({ object }) => flowEnds({ status: 'faulted', error: object() })],
  [
    /^the workflow output should have (?:a )?propert(?:ies|y) ('[^']+'(?:\s*,\s*'[^']+')*)$/,
    ({ words }) => check({ kind: 'hasProperties', paths: quoted(words[0]) }),
  ],
  [
    /^the workflow output should have an? '([^']+)' property with value:?$/,
    ({ words, value }) => check({ kind: 'propertyIs', path: nameOf(words[0]), value: value() }),
  ],
  [
    /^the workflow output should have an? '([^']+)' property containing (\d+) items?$/,
    ({ words }) => check({ kind: 'itemCount', path: nameOf(words[0]), count: Number(words[1]) }),
  ],
  [/^(.+) should run first$/, ({ words }) => check({ kind: 'runsFirst', task: nameOf(words[0]) })],
  [/^(.+) should run last$/, ({ words }) => check({ kind: 'runsLast', task: nameOf(words[0]) })],
  [
    /^(.+) should run before (.+)$/,
    ({ words }) => check({ kind: 'runsBefore', task: nameOf(words[0]), other: nameOf(words[1]) }),
  ],
  [
    /^(.+) should run after (.+)$/,
    ({ words }) => check({ kind: 'runsBefore', task: nameOf(words[1]), other: nameOf(words[0]) }),
  ],
  [/^(.+) should cancel$/, ({ words }) => taskEnds(words[0], { status: 'cancelled' })],
  [/^(.+) should complete$/, ({ words }) => taskEnds(words[0], { status: 'completed' })],
  [
    /^(.+) should complete with output:?$/,
    ({ words, value }) => taskEnds(words[0], { status: 'completed', output: value() }),
  ],
  [/^(.+) should fault$/, ({ words }) => taskEnds(words[0], { status: 'faulted' })],
  [
    /^(.+) should fault with error:?$/,
    ({ words, object }) => taskEnds(words[0], { status: 'faulted', error: object() }),
  ],
];

/** What a step means. Throws an Error for a step that no pattern knows, and for text below it that cannot be read. */
export function parseStep(step: FeatureStep): Step {
  for (const [pattern, toStep] of PATTERNS) {
    const found = pattern.exec(step.text);
    if (found === null) continue;
    const value = () => readContent(step);
    return toStep({ words: found.slice(1), value, object: () => objectOnly(value()) });
  }
  throw new Error("this step is not known; the kit's README lists those that are");
}

/** Reads the text as the command line reads a flow. */
function readContent({ content }: FeatureStep): Json {
  if (content === undefined) throw new Error('got no text below the step, expected YAML or JSON between """');
  const parsed = parseDocumentText(content);
  if ('document' in parsed) return parsed.document.value;
  throw new Error(parsed.problems.map((problem) => formatProblem(problem, 'the text below the step')).join('; '));
}

function objectOnly(value: Json): JsonObject {
  if (isJsonObject(value)) return value;
  throw new Error(`got ${describeJsonType(value)} below the step, expected an object`);
}

function quoted(list = ''): string[] {
  return [...list.matchAll(/'([^']+)'/g)].map((match) => nameOf(match[1]));
}

/** A word that its pattern always has. */
function nameOf(word: string | undefined): string {
  if (word === undefined) throw new Error('a pattern of steps lacks a group');
  return word;
}
