import { defineQuery, setHandler } from '@temporalio/workflow';
import type { DryRunSoFar } from '../../dsl/dry-run/report';
import { inline } from '../../dsl/inline-values';
import { DRY_RUN_STEPS_QUERY } from '../../dsl/names';
import type { FlowRun } from '../flow-run';

const stepsQuery = defineQuery<DryRunSoFar>(DRY_RUN_STEPS_QUERY);

/** Tells of a dry run while there is no report; one that is cancelled or runs out of time never gets one. Costs no history. */
export function answerSteps({ rehearsal, plan: { flow }, tenant }: FlowRun): void {
  if (rehearsal === undefined) return;
  setHandler(stepsQuery, () => inline(rehearsal.soFar({ flow, tenant })), {
    description: 'Of a dry run: its steps until now, with what they would have done.',
  });
}
