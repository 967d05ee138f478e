import type { FlowLibrary } from '../catalog/library';
import { FLOW_NAME } from '../catalog/references';
import { SEMANTIC_VERSION } from '../catalog/semantic-version';
import { MAX_DOCUMENT_DEPTH, parseDocumentText } from '../document';
import { EXPRESSION_LANGUAGES, isExpressionLanguage } from '../expressions/language';
import { isDeeperThan, isJsonObject, type Json, type JsonObject } from '../json';
import { byPosition, closestName, type LocatedProblem, listNames, type Problem, shortText } from '../problems';
import type { CheckContext } from './check-context';
import { ExpressionChecker, type ExpressionSite, type UncheckedExpression } from './check-expressions';
import { checkCatalogs, checkFunctionSizes, checkFunctions } from './check-function';
import { checkMetadata, STEP_ONLY_KEYS } from './check-metadata';
import { checkSchedule } from './check-schedule';
import { SecretChecker } from './check-secrets';
import { checkDefinition, checkTaskList } from './check-task';
import { checkTimeout, checkTransformation } from './check-transformation';
import { checkUse } from './check-use';
import { Checker, ReportIsFull } from './checker';
import { explainForeignDocument } from './foreign-documents';
import { DOCUMENT_HABITS, type KeyHabits } from './key-habits';
import { Resolution } from './resolution';
import { innerScope, ROOT_SCOPE } from './scope';
import { StepIndex } from './step-index';

/** A document that has been found valid; only {@link validateFlow} makes one. */
export type ValidFlow = JsonObject & { readonly __valid: unique symbol };

/**
 * `unchecked`: expressions in jq, whose syntax is yet to be checked by jq itself (`checkJqExpressions`). `unresolved`:
 * flows and functions that could not be looked up without a catalog.
 */
export type ValidationResult = { readonly unchecked: readonly UncheckedExpression[]; readonly locate?: Locate } & (
  | { readonly flow: ValidFlow; readonly problems: readonly []; readonly unresolved?: readonly string[] }
  | { readonly flow?: undefined; readonly problems: readonly Problem[] }
);

/** Where a problem stands, for a document that came as text. */
export type Locate = (problem: Problem) => LocatedProblem;

const NAME = {
  regex: FLOW_NAME,
  expected: 'letters, digits and -, at most 63 (DNS label)',
};
const SEMVER = {
  regex: SEMANTIC_VERSION,
  expected: "a semantic version such as '1.0.0'",
};

const DSL = { regex: SEMANTIC_VERSION, expected: "the version of OWS in quotes, such as '1.0.3'" };

/** What a document is validated with. */
export interface ValidationOptions {
  /** Flows and functions by name. Without one, references to them are not checked but listed as unchecked. */
  readonly library?: FlowLibrary | undefined;
}

/** Parses and validates YAML or JSON text; every problem has its position. */
export function validateFlowText(text: string, options: ValidationOptions = {}): ValidationResult {
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) return { ...parsed, unchecked: [] };
  const { document } = parsed;
  const locate: Locate = (problem) => ({
    ...problem,
    position: document.locate(problem.path, problem.part ?? 'value'),
  });
  const result = validateFlow(document.value, options);
  if (result.flow !== undefined) return { ...result, locate };
  return { problems: result.problems.map(locate).sort(byPosition), unchecked: result.unchecked, locate };
}

/** Validates a document that is data already. All problems are found at once, up to the 200 that a report lists. */
export function validateFlow(value: Json, { library }: ValidationOptions = {}): ValidationResult {
  const checker = new Checker();
  const resolution = new Resolution();
  let unchecked: readonly UncheckedExpression[] = [];
  try {
    unchecked = checkFlow(value, { checker, resolution, ...(library === undefined ? {} : { library }) });
  } catch (error) {
    if (!(error instanceof ReportIsFull)) throw error;
  }
  if (checker.problems.length > 0) return { problems: checker.problems, unchecked };
  const { open: unresolved } = resolution;
  return { flow: value as ValidFlow, problems: [], unchecked, ...(unresolved.length === 0 ? {} : { unresolved }) };
}

/** What the checks begin with. */
type CheckStart = Pick<CheckContext, 'checker' | 'resolution' | 'library'>;

function checkFlow(value: Json, start: CheckStart): readonly UncheckedExpression[] {
  const { checker } = start;
  if (value === null) {
    checker.report('BLW_VALUE_INVALID', [], 'the document is empty, expected a flow with document and do');
  } else if (isDeeperThan(value, MAX_DOCUMENT_DEPTH)) {
    checker.report('BLW_DOC_TOO_LARGE', [], `the flow is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  } else {
    const document = checker.object(value, [], 'flow');
    if (document !== undefined) return checkDocument(document, start);
  }
  return [];
}

function checkDocument(document: JsonObject, start: CheckStart): readonly UncheckedExpression[] {
  const { checker } = start;
  checker.steps = new StepIndex(document);
  const foreign = explainForeignDocument(document);
  if (foreign !== undefined) {
    checker.report('BLW_UNSUPPORTED', [], foreign);
    return [];
  }
  const stray = reportStrayHeader(document, checker);
  checker.keys(document, [], 'a flow', {
    habits: DOCUMENT_HABITS,
    reported: stray.length === 0 ? [] : [...stray, 'document'],
    required: ['document', 'do'],
    optional: ['input', 'use', 'timeout', 'output', 'schedule', 'evaluate'],
  });
  const language = checkEvaluate(document.evaluate, checker);
  const known = isExpressionLanguage(language) ? language : undefined;
  checker.language = known;
  const use = isJsonObject(document.use) ? document.use : {};
  const expressions = new ExpressionChecker(checker, known, new SecretChecker(checker, use, language));
  const context: CheckContext = { ...start, expressions, use, caller: '', checkDefinition };

  if (document.document !== undefined) checkHeader(document.document, stray, context);
  if (document.use !== undefined && checker.object(document.use, ['use'], 'use') !== undefined)
    checkUse(use, checker, expressions);
  checkCatalogs(context);
  checkFunctions(context);
  checkSchedule(document, context);
  checkTransformation(document.input, 'from', { path: ['input'], scope: ROOT_SCOPE, place: 'workflowInput' }, context);
  checkTimeout(document.timeout, ['timeout'], use, checker);
  if (isJsonObject(document.timeout))
    expressions.template(document.timeout, { path: ['timeout'], scope: ROOT_SCOPE, place: 'workflowInput' });
  if (document.do !== undefined) checkTaskList({ value: document.do, path: ['do'], scope: ROOT_SCOPE }, context);
  checkFunctionSizes(context);
  checkTransformation(document.output, 'as', outputSite(document.do), context);

  if (known === undefined && expressions.expressionCount > 0) reportLanguage(language, checker);
  return expressions.unchecked;
}

/** The flow's output is made with the outputs of its top-level steps in scope. */
function outputSite(tasks: Json | undefined): ExpressionSite {
  const steps = Array.isArray(tasks) ? tasks.flatMap((task) => (isJsonObject(task) ? Object.keys(task) : [])) : [];
  return { path: ['output'], scope: innerScope(ROOT_SCOPE, steps), place: 'workflowOutput' };
}

/** Keys of the header that stand at the top of the document are one mistake. */
function reportStrayHeader(document: JsonObject, checker: Checker): string[] {
  const stray = [...HEADER_KEYS, 'metadata'].filter((key) => document[key] !== undefined);
  const [first] = Object.keys(document).filter((key) => stray.includes(key));
  if (first === undefined) return [];
  const names = stray.map((key) => `"${key}"`).join(', ');
  const message = `${names}: write ${stray.length === 1 ? 'it' : 'them'} under document: document: { ${stray.map((key) => `${key}: …`).join(', ')} }`;
  checker.report('BLW_KEY_UNKNOWN', [first], message, 'key');
  return stray;
}

const HEADER_KEYS = ['dsl', 'namespace', 'name', 'version', 'title', 'summary', 'tags'];

const HEADER_HABITS: KeyHabits = {
  aliases: {
    id: 'name',
    description: 'summary',
    labels: 'tags',
    specversion: 'dsl',
    apiversion: 'dsl',
    schemaversion: 'dsl',
  },
};

function checkHeader(value: Json, stray: readonly string[], { checker, expressions }: CheckContext): void {
  const header = checker.shaped(value, ['document'], 'document', {
    required: ['dsl', 'namespace', 'name', 'version'],
    optional: ['title', 'summary', 'tags', 'metadata'],
    habits: HEADER_HABITS,
    reported: stray,
  });
  if (header === undefined) return;
  const dsl = checker.text(header.dsl, ['document', 'dsl'], 'dsl', DSL);
  if (dsl !== undefined && !dsl.startsWith('1.0.')) {
    checker.report(
      'BLW_UNSUPPORTED',
      ['document', 'dsl'],
      `dsl: got ${dsl}, expected 1.0.x, the version of OWS that runs here`,
    );
  }
  checker.text(header.namespace, ['document', 'namespace'], 'namespace', NAME);
  checker.text(header.name, ['document', 'name'], 'name', NAME);
  checker.text(header.version, ['document', 'version'], 'version', SEMVER);
  checker.text(header.title, ['document', 'title'], 'title');
  checker.text(header.summary, ['document', 'summary'], 'summary');
  if (header.tags !== undefined) checker.object(header.tags, ['document', 'tags'], 'tags');
  const site: ExpressionSite = { path: ['document', 'metadata'], scope: ROOT_SCOPE, place: 'definition' };
  checkMetadata(header.metadata, site.path, checker, expressions, site);
  for (const key of STEP_ONLY_KEYS) {
    if (!isJsonObject(header.metadata) || header.metadata[key] === undefined) continue;
    const message = `metadata.${key} is a step's own; write it there`;
    checker.report('BLW_UNSUPPORTED', [...site.path, key], message, 'key');
  }
}

/** The expression language; OWS's default is jq (dsl, "Runtime Expressions"). */
function checkEvaluate(value: Json | undefined, checker: Checker): string {
  if (value === undefined) return 'jq';
  const evaluate = checker.shaped(value, ['evaluate'], 'evaluate', {
    optional: ['language', 'mode'],
    example: '{ language: cel }',
  });
  if (evaluate?.mode === 'loose')
    checker.report(
      'BLW_UNSUPPORTED',
      ['evaluate', 'mode'],
      'evaluate: mode loose is not supported; write ${ } around expressions',
    );
  else checker.oneOf(evaluate?.mode, ['evaluate', 'mode'], 'evaluate: mode', ['strict']);
  return checker.text(evaluate?.language, ['evaluate', 'language'], 'evaluate: language') ?? 'jq';
}

function reportLanguage(language: string, checker: Checker): void {
  const meant = closestName(language, EXPRESSION_LANGUAGES);
  const advice = meant === undefined ? `there are ${listNames(EXPRESSION_LANGUAGES)}` : `did you mean "${meant}"?`;
  const message = `evaluate: expressions in ${shortText(language)} are not supported; ${advice}`;
  checker.report('BLW_EXPR_LANGUAGE', ['evaluate', 'language'], message);
}
