import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';
import { scriptCall, withoutCode } from '../script';
import { checkCache } from './check-cache';
import type { TaskSite } from './check-context';
import type { ExpressionSite } from './check-expressions';
import type { Checker, Path } from './checker';

/** The language that scripts may have (OWS dsl-reference, "Script Process": `js` and `python`). */
export const SCRIPT_LANGUAGE = 'js';

/** What a process may put out (OWS dsl-reference, "Run"). */
export const RETURN_KINDS = ['stdout', 'stderr', 'code', 'all', 'none'];

/** What others call it. */
const LANGUAGE_ALIASES: ReadonlySet<string> = new Set([
  'javascript',
  'node',
  'nodejs',
  'ecmascript',
  'es',
  'mjs',
  'jsx',
]);

/** OWS dsl-reference, "Script Process". Its code is text of the flow; see script.ts. */
export function checkScript(site: TaskSite, run: JsonObject, runPath: Path): void {
  const { task, path, scope, context } = site;
  const { checker, expressions } = context;
  if (run.await === false) {
    const message = 'run: await: a script is awaited, since nothing would be left of it else; remove await';
    checker.report('BLW_UNSUPPORTED', [...runPath, 'await'], message, 'key');
  }
  checker.oneOf(run.return, [...runPath, 'return'], 'run: return', RETURN_KINDS);
  const at = [...runPath, 'script'];
  const hasSource = isJsonObject(run.script) && run.script.source !== undefined;
  const script = checker.shaped(run.script, at, 'run: script', {
    required: hasSource ? ['language'] : ['language', 'code'],
    optional: ['code', 'source', 'stdin', 'arguments', 'environment'],
    example: '{ language: js, code: … }',
  });
  if (script === undefined) return;
  if (hasSource) {
    const message = 'run.script.source is not supported: what a flow runs stands in it; write the code under code';
    checker.report('BLW_UNSUPPORTED', [...at, 'source'], message, 'key');
  }
  checkLanguage(script.language, [...at, 'language'], checker);
  checker.text(script.code, [...at, 'code'], 'run: script: code');
  checkArguments(script, at, checker);
  const { code: _, language: __, source: ___, ...data } = script;
  const place: ExpressionSite = { path: at, scope, place: 'definition', takesSecrets: true };
  expressions.template(data, place);
  const { language = 'cel' } = checker;
  const call = scriptCall(task);
  const args = withoutCode(String(call.call), call.with as JsonObject, language);
  if (typeof args.code === 'string') expressions.template(args.code, { ...place, path: [...at, 'code'] });
  checkCache({ ...site, task: call });
  expressions.secrets.call(call, args, path);
}

function checkLanguage(value: Json | undefined, path: Path, checker: Checker): void {
  const language = checker.text(value, path, 'run: script: language');
  if (language === undefined || language === SCRIPT_LANGUAGE) return;
  const advice = LANGUAGE_ALIASES.has(language.toLowerCase())
    ? `write ${SCRIPT_LANGUAGE}`
    : `write it in ${SCRIPT_LANGUAGE}, or call a service that runs it (call: http)`;
  const message = `run: script: language: ${shortText(language)} is not supported; ${advice}`;
  checker.report('BLW_UNSUPPORTED', path, message);
}

function checkArguments({ arguments: args, environment }: JsonObject, at: Path, checker: Checker): void {
  if (args !== undefined && !Array.isArray(args) && typeof args !== 'string') {
    checker.report('BLW_VALUE_INVALID', [...at, 'arguments'], 'run: script: arguments: expected a list of texts');
  }
  for (const [index, item] of Array.isArray(args) ? args.entries() : []) {
    if (isScalar(item)) continue;
    checker.report('BLW_VALUE_INVALID', [...at, 'arguments', index], 'run: script: arguments: expected a text');
  }
  if (environment === undefined || typeof environment === 'string') return;
  const variables = checker.object(environment, [...at, 'environment'], 'run: script: environment');
  for (const [name, value] of Object.entries(variables ?? {})) {
    if (isScalar(value)) continue;
    checker.report('BLW_VALUE_INVALID', [...at, 'environment', name], 'run: script: environment: expected a text');
  }
}

function isScalar(value: Json): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
