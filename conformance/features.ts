import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateMessages } from '@cucumber/gherkin';
import { type GherkinDocument, IdGenerator, type Pickle, SourceMediaType } from '@cucumber/messages';

/** One step of a scenario as its feature has it. */
export interface FeatureStep {
  /** Keyword and text, for messages: `Then the workflow should complete`. */
  readonly label: string;
  /** Without its keyword. */
  readonly text: string;
  /** The block of text below it. */
  readonly content?: string;
  /** Of the step in its file, from 1. */
  readonly line: number;
}

/** One scenario, with the background of its feature and the values of an outline filled in. */
export interface FeatureScenario {
  /** Name of the file. */
  readonly file: string;
  readonly feature: string;
  readonly name: string;
  readonly steps: readonly FeatureStep[];
}

/**
 * Reads the scenarios of all `.feature` files of a folder, by name of the file. Throws an Error that names file, line and
 * column where one is not Gherkin, and where there is no scenario at all.
 */
export function readFeatures(folder: string): FeatureScenario[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.feature')) : [];
  const scenarios = files.sort().flatMap((file) => parseFeature(readFileSync(join(folder, file), 'utf8'), file));
  if (scenarios.length > 0) return scenarios;
  throw new Error(`${folder}: got no scenario, expected .feature files with at least one`);
}

/** The scenarios of one feature's text. Throws an Error that names file, line and column. */
export function parseFeature(text: string, file: string): FeatureScenario[] {
  const envelopes = generateMessages(text, file, SourceMediaType.TEXT_X_CUCUMBER_GHERKIN_PLAIN, {
    includeGherkinDocument: true,
    includePickles: true,
    newId: IdGenerator.incrementing(),
  });
  const failed = envelopes.find(({ parseError }) => parseError !== undefined)?.parseError;
  if (failed !== undefined) throw new Error(`${file}: ${failed.message}`);
  const document = envelopes.find(({ gherkinDocument }) => gherkinDocument !== undefined)?.gherkinDocument;
  const sources = sourceSteps(document);
  const feature = document?.feature?.name ?? '';
  return envelopes.flatMap(({ pickle }) =>
    pickle === undefined ? [] : [toScenario(pickle, { file, feature, sources })],
  );
}

function toScenario(
  pickle: Pickle,
  { file, feature, sources }: { file: string; feature: string; sources: ReturnType<typeof sourceSteps> },
): FeatureScenario {
  const steps = pickle.steps.map(({ text, argument, astNodeIds: [id = ''] }): FeatureStep => {
    const { keyword, line } = sources.get(id) ?? { keyword: '', line: 0 };
    const content = argument?.docString?.content;
    return { label: `${keyword}${text}`, text, line, ...(content === undefined ? {} : { content }) };
  });
  return { file, feature, name: pickle.name, steps };
}

/** Keyword and line of each step, by its id. */
function sourceSteps(document: GherkinDocument | undefined): Map<string, { keyword: string; line: number }> {
  const children = document?.feature?.children ?? [];
  const inner = children.flatMap(({ rule, ...child }) => [child, ...(rule?.children ?? [])]);
  const steps = inner.flatMap(({ background, scenario }) => [...(background?.steps ?? []), ...(scenario?.steps ?? [])]);
  return new Map(steps.map(({ id, keyword, location }) => [id, { keyword, line: location.line }]));
}
