import { messageOf } from '../../dsl/errors';
import type { JsonObject } from '../../dsl/json';
import { CommandError } from '../command-error';
import { printable, type Style } from '../output';
import { formatTable } from '../table';
import type { FailedFlow } from './failed-flows';
import type { RedrivePlan } from './plan-redrive';
import type { Rewind } from './rewind';

const HEADER = ['ID', 'FLOW', 'TENANT', 'FAILED', 'CODE', 'OUTCOME'];

/** The table of `beamline redrive` of several flows. */
export function redriveTable(
  outcomes: readonly { flow: FailedFlow; newRunId?: string; error?: unknown }[],
  style: Style,
): string[] {
  const rows = outcomes.map(({ flow, newRunId, error }) => {
    const { workflowId, flow: name = '', tenant = '', closedAt, code = '' } = flow;
    const outcome = error === undefined ? wayOf(flow, newRunId) : reasonOf(error);
    return [workflowId, name, tenant, closedAt?.toISOString() ?? '', code, outcome].map(printable);
  });
  return formatTable(HEADER, rows, style);
}

function wayOf({ found }: FailedFlow, newRunId: string | undefined): string {
  const step = 'plan' in found ? (found.plan.rewind.step ?? `event ${found.plan.rewind.point}`) : '';
  return newRunId === undefined ? `from ${step}` : `from ${step} as run ${newRunId}`;
}

function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return error instanceof CommandError && error.help !== undefined ? `${message}. ${error.help}` : message;
}

/** What scripts read of a flow that goes on, or would. */
export function planToJson({ workflowId, runId, rewind }: RedrivePlan, newRunId: string | undefined): JsonObject {
  return { workflowId, runId, ...wayToJson(rewind), ...(newRunId === undefined ? {} : { newRunId }) };
}

function wayToJson({ step, point, children }: Rewind): JsonObject {
  return {
    ...(step === undefined ? {} : { step }),
    resetEventId: point,
    ...(children.length === 0
      ? {}
      : {
          children: children.map((child) => ({
            workflowId: child.workflowId,
            runId: child.runId,
            ...wayToJson(child),
          })),
        }),
  };
}
