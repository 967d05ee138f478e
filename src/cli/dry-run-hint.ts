import type { DryRunReport, ReportedStep } from '../dsl/dry-run/report';
import type { ErrorCode } from '../dsl/error-codes';

/** What data of another shape than a step expects ends in. */
const DATA_ERRORS: ReadonlySet<unknown> = new Set<ErrorCode>([
  'BLW_ARG_INVALID',
  'BLW_DATA_INVALID',
  'BLW_DURATION_INVALID',
  'BLW_EVENT_INVALID',
  'BLW_EXPR_FAILED',
  'BLW_FS_PATH',
  'BLW_HTTP_URL',
]);

/**
 * Where a flow fails over its data and a step before was answered with a value that is made up: which, and how it is mocked. Of several,
 * those that the failed expression names, else the one right before.
 */
export function madeUpHint(report: DryRunReport): string | undefined {
  const found = madeUpIn(report);
  if (found === undefined) return undefined;
  const { step, mock } = found;
  return `the answer of ${step.path} is made up: if that is why it fails, mock it (--mocks): ${mock}`;
}

function madeUpIn({ error, steps }: DryRunReport): { step: ReportedStep; mock: string } | undefined {
  if (error === undefined || !DATA_ERRORS.has(error.code)) return undefined;
  const failedAt = steps.findLastIndex(({ path, status }) => status === 'failed' && path === error.instance);
  const failed = steps[failedAt];
  if (failed?.flow !== undefined) {
    const inner = madeUpIn(failed.flow);
    if (inner !== undefined) return { ...inner, mock: `${keyOf(failed, steps)}: { mocks: { ${inner.mock} } }` };
  }
  const before = failedAt === -1 ? steps : steps.slice(0, failedAt);
  const madeUp = before.filter(({ answer, status }) => answer === 'generated' && status === 'completed');
  const text = String(error.detail);
  const step = madeUp.findLast(({ name }) => text.includes(`steps.${name}`)) ?? madeUp.at(-1);
  return step === undefined ? undefined : { step, mock: `${keyOf(step, steps)}: ${exampleFor(step)}` };
}

/** The name, where no other step of the report has it. */
function keyOf({ name, path }: ReportedStep, steps: readonly ReportedStep[]): string {
  return steps.some((other) => other.name === name && other.path !== path) ? path : name;
}

function exampleFor({ block, decision }: ReportedStep): string {
  if (decision !== undefined) return '{ decision: … }';
  return block === 'listen' ? '{ output: [ … ] }' : '{ output: … }';
}
