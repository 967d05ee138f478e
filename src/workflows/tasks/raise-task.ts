import { FlowError, flowError } from '../../dsl/errors';
import { requireValue } from '../../dsl/expressions/batch';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import type { RaisePlan } from '../../dsl/planning/plan';
import type { TaskFrame, TaskResult } from '../task-frame';

/** Raises the error of the document; `instance` is the task's place unless the document gives one (OWS, "Error"). */
export function executeRaise(task: RaisePlan, { values }: TaskFrame): TaskResult {
  const error = requireValue(values, 'error');
  if (!isJsonObject(error)) throw flowError('BLW_EXPR_FAILED', 'raise: the error is not an object');
  const status = Number(error.status);
  if (!Number.isInteger(status)) {
    throw flowError('BLW_EXPR_FAILED', `raise: status: got ${JSON.stringify(error.status)}, expected a whole number`);
  }
  throw new FlowError({
    type: text(error, 'type') ?? 'about:blank',
    status,
    ...textField(error, 'title'),
    ...textField(error, 'detail'),
    instance: text(error, 'instance') ?? task.path,
  });
}

function text(error: JsonObject, key: string): string | undefined {
  const value = error[key];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function textField<K extends string>(error: JsonObject, key: K): { [P in K]?: string } {
  const value = text(error, key);
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string };
}
