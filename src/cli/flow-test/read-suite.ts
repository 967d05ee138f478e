import type { FlowLibrary } from '../../dsl/catalog/library';
import { type ParsedDocument, parseDocumentText } from '../../dsl/document';
import type { FlowTestCase } from '../../dsl/flow-test/flow-test';
import { flowOfTest, parseFlowTest } from '../../dsl/flow-test/parse-flow-test';
import { byPosition, type LocatedProblem, type Problem } from '../../dsl/problems';
import { decodeUtf8 } from '../../dsl/utf8';
import { Checker, ReportIsFull } from '../../dsl/validation/checker';
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
  const checker = new Checker();
  const cases = parseAll(document, flow, checker);
  if (cases === undefined || checker.problems.length > 0) {
    const located = checker.problems.map((problem) => withPosition(problem, document));
    return invalid(file, located.sort(byPosition));
  }
  return { file, flow, cases };
}

function parseAll(document: ParsedDocument, { plan }: ReadFlow, checker: Checker): LocatedCase[] | undefined {
  try {
    const { cases } = parseFlowTest(document.value, plan, checker);
    return cases.map((one) => ({ ...one, line: document.locate(one.path, 'value').line }));
  } catch (error) {
    if (error instanceof ReportIsFull) return undefined;
    throw error;
  }
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
