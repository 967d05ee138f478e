import type { DryRunPlan } from './dry-run';
import type { DryRunReport } from './report';

/** Longest list, in characters: a report stays small. */
const MAX_CHARACTERS = 4_000;

/** Steps that the mocks of the start are for and that did not ask for them: another branch was taken, or the flow ended before. */
export function unusedMocks({ mocks, only }: DryRunPlan, used: ReadonlySet<string>): Pick<DryRunReport, 'unusedMocks'> {
  const unused: string[] = [];
  let length = 0;
  for (const [path, { source }] of Object.entries(mocks)) {
    if (source !== 'request' || used.has(path) || !isTried(path, only?.path)) continue;
    length += path.length;
    if (length > MAX_CHARACTERS) break;
    unused.push(path);
  }
  return unused.length === 0 ? {} : { unusedMocks: unused };
}

/** Where one step runs alone, mocks of others may be there for other times. */
function isTried(path: string, only: string | undefined): boolean {
  return only === undefined || path === only || path.startsWith(`${only}/`);
}
