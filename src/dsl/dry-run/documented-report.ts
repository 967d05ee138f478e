import type { DryRunReport, ReportedStep } from './report';

/**
 * The report of a flow whose mocks are those of a document, in the `metadata.mock` of the step that ran it: to the flow itself they came as
 * its start's, as those of a request do.
 */
export function documentedReport({ unusedMocks: _, ...report }: DryRunReport): DryRunReport {
  return { ...report, steps: report.steps.map(documentedStep) };
}

function documentedStep({ flow, ...step }: ReportedStep): ReportedStep {
  return {
    ...step,
    ...(step.answer === 'request' ? { answer: 'document' as const } : {}),
    ...(flow === undefined ? {} : { flow: documentedReport(flow) }),
  };
}
