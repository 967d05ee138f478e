import { join, resolve } from 'node:path';
import { checkJqExpressions } from '../activities/expressions/check-jq-expressions';
import { createExpressionEngine, type ExpressionEngine } from '../activities/expressions/expression-engine';
import { FileCatalog } from '../activities/ports/file-catalog';
import type { CatalogIndex } from '../dsl/catalog/catalog-index';
import type { FoundFunction } from '../dsl/catalog/library';
import { FlowError } from '../dsl/errors';
import { EXPRESSION_LANGUAGES } from '../dsl/expressions/language';
import type { Json } from '../dsl/json';
import type { Problem } from '../dsl/problems';
import { validateFlow } from '../dsl/validation/validate-flow';
import { EXPRESSION_HOST_ENTRY } from '../worker/package-files';
import type { Cli } from './cli';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { type FlowFile, readFlowFile } from './flow-file';

const CATALOG_HELP = 'Give --catalog the folder of flows that the workers have.';

/** A file of a catalog that holds a function. */
export interface FunctionFile {
  readonly name: string;
  /** `name:version` */
  readonly function: string;
  readonly problems: readonly Problem[];
}

/** Reads a catalog as a worker does. Throws BLW_CATALOG_INVALID, exit code 2, where the folder cannot be read. */
export async function openCatalog(folder: string, { cwd }: Cli): Promise<CatalogIndex> {
  try {
    return await new FileCatalog(resolve(cwd, folder)).read();
  } catch (error) {
    if (error instanceof FlowError) throw new CommandError(error, EXIT.invalid, CATALOG_HELP);
    throw error;
  }
}

/** Checks every flow and function of a catalog, and what they refer to. Files that are none are problems as well. */
export async function checkCatalog(
  index: CatalogIndex,
  folder: string,
  cli: Cli,
): Promise<{ flows: FlowFile[]; functions: FunctionFile[] }> {
  const problemsOf = (path: string) =>
    index.problems.filter((entry) => entry.path === path).map((entry) => entry.problem);
  const sources = index.flows().map(({ source }) => source);
  const flows: FlowFile[] = [];
  for (const source of new Set([...sources, ...index.problems.map(({ path }) => path)].sort())) {
    const problems = problemsOf(source);
    if (problems.length > 0) flows.push({ name: join(folder, source), problems });
    else flows.push(await readFlowFile(join(folder, source), cli, index));
  }
  const functions = index.functions().filter(({ source }) => problemsOf(source).length === 0);
  return { flows, functions: await checkFunctions(functions, folder, index) };
}

async function checkFunctions(
  functions: readonly FoundFunction[],
  folder: string,
  index: CatalogIndex,
): Promise<FunctionFile[]> {
  const engine = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
  try {
    const files: FunctionFile[] = [];
    for (const found of functions) files.push(await checkFunction(found, folder, { index, engine }));
    return files;
  } finally {
    await engine.close();
  }
}

/** A function says nothing of its language, which is that of the flow that calls it: it is valid where it is in one of them. */
async function checkFunction(
  { source }: FoundFunction,
  folder: string,
  { index, engine }: { index: CatalogIndex; engine: ExpressionEngine },
): Promise<FunctionFile> {
  const [, below = '', name = '', version = ''] = /^(?:(.*)\/)?functions\/([^/]+)\/([^/]+)\//.exec(source) ?? [];
  const reference = `${name}:${version}`;
  const file = { name: join(folder, source), function: reference };
  let first: readonly Problem[] | undefined;
  for (const language of EXPRESSION_LANGUAGES) {
    const flow = callOf(reference, below, language);
    const { problems } = await checkJqExpressions(validateFlow(flow, { library: index }), engine);
    if (problems.length === 0) return { ...file, problems: [] };
    first ??= problems;
  }
  const ofFile = ({ code, message }: Problem): Problem => ({
    code,
    path: [],
    message: message.replace(`function ${reference} `, ''),
  });
  return { ...file, problems: (first ?? []).map(ofFile) };
}

/** A flow that calls the function; arguments that are not known yet fit everything. */
function callOf(reference: string, below: string, language: string): Json {
  return {
    document: { dsl: '1.0.3', namespace: 'catalog', name: 'check', version: '1.0.0' },
    evaluate: { language },
    use: { catalogs: { default: { endpoint: below === '' ? '.' : below } } },
    do: [{ call: { call: `${reference}@default`, with: { any: ANY[language] ?? null } } }],
  };
}

/** An expression in each language, so that the arguments are not compared with the function's schema. */
const ANY: Readonly<Record<string, string>> = { cel: '${ data }', jq: '${ . }', jsonata: '${ $ }' };
