import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, shortText } from '../problems';
import { scriptCall, withoutCode } from '../script';
import { checkCache } from './check-cache';
import type { TaskSite } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { refuseOtherPools } from './check-metadata';
import type { Checker, Path } from './checker';

/** The language that scripts may have (OWS dsl-reference, "Script Process": `js` and `python`). */
export const SCRIPT_LANGUAGE = 'js';

/** What a process may put out (OWS dsl-reference, "Run"). */
export const RETURN_KINDS = ['stdout', 'stderr', 'code', 'all', 'none'];

const SCRIPT_KEYS = ['language', 'code', 'source', 'stdin', 'arguments', 'environment'];
const KEYS_OF_RUN = ['return', 'await'];

/** Most arguments, as script.run has it. */
const MAX_ARGUMENTS = 1_000;

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
  refuseOtherPools(task, path, checker);
  const at = [...runPath, 'script'];
  const hasSource = isJsonObject(run.script) && run.script.source !== undefined;
  const script = checker.shaped(run.script, at, 'run: script', {
    required: hasSource ? ['language'] : ['language', 'code'],
    optional: ['source', 'stdin', 'arguments', 'environment', ...(hasSource ? ['code'] : [])],
    example: '{ language: js, code: … }',
    reported: reportKeysOfRun(run.script, at, checker),
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

/** What stands beside `script`, and was written in it. */
function reportKeysOfRun(script: Json | undefined, at: Path, checker: Checker): string[] {
  const keys = isJsonObject(script) ? Object.keys(script) : [];
  return keys.filter((key) => {
    const meant = closestName(key, SCRIPT_KEYS) === undefined ? closestName(key, KEYS_OF_RUN) : undefined;
    if (meant === undefined) return false;
    const message = `"${shortText(key)}" is not known in run: script; "${meant}" stands beside it: run: { script: { … }, ${meant}: … }`;
    checker.report('BLW_KEY_UNKNOWN', [...at, key], message, 'key');
    return true;
  });
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
    const message = `run: script: arguments: got ${describeJsonType(args)}, expected a list, each a ${SCALARS}`;
    checker.report('BLW_VALUE_INVALID', [...at, 'arguments'], message);
  }
  const list = Array.isArray(args) ? args : [];
  if (list.length > MAX_ARGUMENTS) {
    const message = `run: script: arguments: got ${list.length}, expected at most ${MAX_ARGUMENTS}; pass many as stdin`;
    checker.report('BLW_VALUE_INVALID', [...at, 'arguments'], message);
  }
  for (const [index, item] of list.entries())
    checkScalar(item, [...at, 'arguments', index], 'run: script: arguments', checker);
  if (environment === undefined || typeof environment === 'string') return;
  const variables = checker.object(environment, [...at, 'environment'], 'run: script: environment');
  for (const [name, value] of Object.entries(variables ?? {}))
    checkScalar(value, [...at, 'environment', name], 'run: script: environment', checker);
}

const SCALARS = 'text, number or boolean';

function checkScalar(value: Json, path: Path, what: string, checker: Checker): void {
  if (['string', 'number', 'boolean'].includes(typeof value)) return;
  checker.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected a ${SCALARS}`);
}
