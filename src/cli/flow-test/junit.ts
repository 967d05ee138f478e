import { countCases, lineOf } from './print-results';
import type { CaseResult, SuiteResult } from './run-suites';

/** Characters that XML 1.0 cannot hold, not even escaped (section 2.2), and halves of surrogate pairs. */
const NOT_IN_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/**
 * The results in the XML of JUnit, as CI servers read it (Jenkins, GitLab, GitHub actions): a `testsuite` for each file, a `testcase` for
 * each case, times in seconds.
 */
export function toJUnit(results: readonly SuiteResult[], durationMs: number): string {
  const attributes = { name: 'beamline test', ...countsOf(results), time: seconds(durationMs) };
  const suites = results.map((result) => suiteElement(result));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', attributes, suites)}\n`;
}

function suiteElement(result: SuiteResult): string {
  const { suite, cases } = result;
  const time = seconds(cases.reduce((sum, { durationMs }) => sum + durationMs, 0));
  const attributes = { name: suite.file, ...countsOf([result]), time };
  return element(
    'testsuite',
    attributes,
    cases.map((one) => caseElement(one, suite)),
    2,
  );
}

function caseElement({ case: one, status, differences, durationMs }: CaseResult, suite: SuiteResult['suite']): string {
  const attributes = {
    classname: suite.flow.plan.flow,
    name: one.name,
    file: suite.file,
    line: one.line,
    time: seconds(durationMs),
  };
  if (status === 'skipped')
    return element('testcase', attributes, [element('skipped', { message: one.skip ?? '' }, [], 6)], 4);
  if (status === 'passed') return element('testcase', attributes, [], 4);
  const lines = differences.map(lineOf);
  const failure = `      <failure${attributesText({ message: lines[0] ?? '', type: 'difference' })}>${escaped(lines.join('\n'))}</failure>`;
  return element('testcase', attributes, [failure], 4);
}

function countsOf(results: readonly Pick<SuiteResult, 'cases'>[]): Record<string, number> {
  const { passed, failed, skipped } = countCases(results);
  return { tests: passed + failed + skipped, failures: failed, errors: 0, skipped };
}

function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  children: readonly string[],
  indent = 0,
): string {
  const blanks = ' '.repeat(indent);
  const start = `${blanks}<${name}${attributesText(attributes)}`;
  return children.length === 0 ? `${start}/>` : [`${start}>`, ...children, `${blanks}</${name}>`].join('\n');
}

function attributesText(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replace(/\s/g, ' ')}"`)
    .join('');
}

function escaped(text: string): string {
  return text.replace(NOT_IN_XML, '\uFFFD').replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}
