import type { FlowLibrary } from '../../dsl/catalog/library';
import { parseFlowReference } from '../../dsl/catalog/references';
import { type ParsedDocument, parseDocumentText } from '../../dsl/document';
import type { FlowTestCase } from '../../dsl/flow-test/flow-test';
import { type FlowPlans, flowOfTest, parseFlowTest } from '../../dsl/flow-test/parse-flow-test';
import { isJsonObject } from '../../dsl/json';
import type { FlowPlan } from '../../dsl/planning/plan';
import { planFlow } from '../../dsl/planning/plan-flow';
import { byPosition, type LocatedProblem, type Problem } from '../../dsl/problems';
import { decodeUtf8 } from '../../dsl/utf8';
import { Checker, ReportIsFull } from '../../dsl/validation/checker';
import { validateFlow } from '../../dsl/validation/validate-flow';
import type { Cli } from '../cli';
import { CommandError } from '../command-error';
import { type FlowFile, NOT_UTF8, readFlowFile } from '../flow-file';
import { readSource } from '../read-source';
import { flowFileOf } from './find-tests';

/** A flow that was read and is valid. */
export type ReadFlow = Extract<FlowFile, { flow: object }>;

/** The cases of one file, with their flow; or what is wrong with either. */
export type TestSuite = { readonly file: string } & (
  | { readonly flow: ReadFlow; readonly cases: readonly LocatedCase[]; readonly problems?: undefined }
  | { readonly flow?: undefined; readonly problems: InvalidFile }
);

/** The file of the tests, or that of their flow. */
export type InvalidFile = Extract<FlowFile, { flow?: undefined }>;

export type LocatedCase = FlowTestCase & { readonly line: number };

/** Reads a file of tests and the flow that they are of. Throws BLW_USAGE where the file cannot be read. */
export async function readSuite(file: string, cli: Cli, library: FlowLibrary | undefined): Promise<TestSuite> {
  const text = decodeUtf8(await readSource(file, cli));
  if (text === undefined) return invalid(file, [NOT_UTF8]);
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) return invalid(file, parsed.problems);
  const { document } = parsed;
  const flow = await readFlow(file, document, { cli, library });
  if (flow.flow === undefined) return { file, problems: flow };
  const [unresolved] = flow.unresolved;
  if (unresolved !== undefined && library === undefined) {
    const message = `${flow.name} refers to ${unresolved}; give its folder with --catalog DIR`;
    return invalid(file, [withPosition({ code: 'BLW_VALUE_INVALID', path: [], message }, document)]);
  }
  const checker = new Checker();
  const planOf = (name: string) => (library === undefined ? undefined : findPlan(name, library));
  const cases = parseAll(document, { plan: flow.plan, planOf }, checker);
  if (cases === undefined || checker.problems.length > 0) {
    const located = checker.problems.map((problem) => withPosition(problem, document));
    return invalid(file, located.sort(byPosition));
  }
  return { file, flow, cases };
}

function parseAll(document: ParsedDocument, plans: FlowPlans, checker: Checker): LocatedCase[] | undefined {
  try {
    const { cases } = parseFlowTest(document.value, plans, checker);
    return cases.map((one) => ({ ...one, line: document.locate(one.path, 'value').line }));
  } catch (error) {
    if (error instanceof ReportIsFull) return undefined;
    throw error;
  }
}

/** The plan of a flow of the catalog; undefined where it is not there or not valid: the worker will say. */
function findPlan(name: string, library: FlowLibrary): FlowPlan | undefined {
  const reference = parseFlowReference(name);
  const found = 'problem' in reference ? undefined : library.findFlow(reference);
  if (found === undefined || 'code' in found) return undefined;
  const { flow } = validateFlow(found.document, { library });
  return flow === undefined ? undefined : planFlow(flow, { library });
}

/** A flow that cannot be read is a problem of the file that names it. */
async function readFlow(
  file: string,
  document: ParsedDocument,
  { cli, library }: { cli: Cli; library: FlowLibrary | undefined },
): Promise<FlowFile> {
  const named = flowOfTest(document.value);
  const source = flowFileOf(file, named, cli);
  const problem = (message: string): FlowFile => ({
    name: file,
    problems: [
      withPosition({ code: 'BLW_VALUE_INVALID', path: named === undefined ? [] : ['flow'], message }, document),
    ],
  });
  if (source === undefined && isJsonObject(document.value) && document.value.document !== undefined)
    return problem(`it is a flow; its tests stand in ${file.replace(/\.\w+$/, '')}.flow-test.yaml`);
  if (source === undefined)
    return problem('there is no flow beside the file that has its name; name one with flow: FILE');
  try {
    return await readFlowFile(source, cli, library);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return problem(`flow: ${error.error.data.detail ?? error.message}`);
  }
}

function withPosition(problem: Problem, document: ParsedDocument): LocatedProblem {
  return { ...problem, position: document.locate(problem.path, problem.part ?? 'value') };
}

function invalid(file: string, problems: readonly Problem[]): TestSuite {
  return { file, problems: { name: file, problems } };
}
