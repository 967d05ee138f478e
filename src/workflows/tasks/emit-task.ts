import { flowError } from '../../dsl/errors';
import { type CloudEvent, parseCloudEvent } from '../../dsl/events/cloud-event';
import { requireObject } from '../../dsl/expressions/batch';
import type { JsonObject } from '../../dsl/json';
import type { EmitPlan } from '../../dsl/planning/plan';
import { idempotencyKey } from '../../dsl/step-request';
import { type Routine, waitFor } from '../drive';
import { eventActivities } from '../events/event-activities';
import { toFlowError } from '../failures';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * Publishes an event to the tenant's event bus; the output is the event (OWS dsl-reference, "Emit"). It may be sent twice,
 * where a worker is lost; the bus takes it once, since its id is made of the step's idempotency key.
 */
export function* executeEmit(task: EmitPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, values } = frame;
  const event = completeEvent(requireObject(values, 'event'), task, frame);
  run.waits();
  try {
    const request = { tenant: run.tenant, taskQueue: run.taskQueue, event, ...run.proof };
    yield* waitFor(run.locals.onRecord((asked) => eventActivities.emitEvent({ ...request, ...asked })));
  } catch (error) {
    throw toFlowError(error);
  }
  return { output: event };
}

/** What the author gives counts; the rest is made here (OWS dsl-reference, "Event Properties"). */
export function completeEvent(given: JsonObject, task: EmitPlan, { run, scope }: TaskFrame): CloudEvent {
  const key = { tenant: run.tenant, flowId: run.id, stepPath: task.path, iteration: scope.iteration, generation: 0 };
  const [name = '', version = ''] = run.plan.flow.split(':');
  const made: JsonObject = {
    specversion: '1.0',
    id: idempotencyKey(key),
    source: `/${name}/${version}`,
    time: new Date(Date.now()).toISOString(),
  };
  if (given.data !== undefined) made.datacontenttype = 'application/json';
  const parsed = parseCloudEvent({ ...made, ...given });
  if ('event' in parsed) return parsed.event;
  throw flowError('BLW_EVENT_INVALID', `emit: ${parsed.problem}`);
}
