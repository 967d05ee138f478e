import type { BatchItem, BatchValues } from '../expressions/batch';
import type { Template } from '../expressions/template';
import type { OutputPlan, SwitchPlan, TaskPlan } from './plan';

/**
 * What is evaluated of a task's definition before it runs (OWS dsl, "Task definition"), in one batch with its `if` and its
 * `input.from`. What depends on what happens later (`while`, `catch`) is not among it.
 */
export function definitionItems(task: TaskPlan): BatchItem[] {
  return [...valueItem('timeout', task.timeout), ...kindItems(task)];
}

function kindItems(task: TaskPlan): BatchItem[] {
  switch (task.kind) {
    case 'call':
      return [
        ...valueItem('with', task.with),
        ...valueItem('summary', task.summary),
        ...valueItem('cacheKey', task.cache?.key),
      ];
    case 'function':
      return valueItem('with', task.with);
    case 'subflow':
      return valueItem('with', task.with);
    case 'for':
      return valueItem('in', task.in);
    case 'raise':
      return valueItem('error', task.error);
    case 'set':
      return valueItem('value', task.value);
    case 'switch':
      return switchItems(task);
    case 'try':
      return valueItem('attemptDuration', task.catch.retry?.attemptDuration);
    case 'wait':
      return valueItem('duration', task.duration);
    case 'emit':
      return valueItem('event', task.event);
    case 'do':
    case 'fork':
    case 'listen':
      return [];
  }
}

/** Cases up to the first that holds. */
function switchItems({ cases }: SwitchPlan): BatchItem[] {
  return cases.flatMap(({ name, when }, index) =>
    when === undefined
      ? []
      : [{ name: caseItem(index), condition: when, field: `case "${name}": when`, stopIf: true as const }],
  );
}

/** Name of the item of a case. */
function caseItem(index: number): string {
  return `case/${index}`;
}

/** The first case whose condition holds, else the one without a condition, wherever it stands. */
export function chosenCase({ cases }: SwitchPlan, values: BatchValues): SwitchPlan['cases'][number] | undefined {
  const matching = cases.find((_, index) => values[caseItem(index)] === true);
  return matching ?? cases.find(({ when }) => when === undefined);
}

/** The task's `if`, on its raw input: nothing after it is evaluated where it says no. */
export function ifItems(task: TaskPlan): BatchItem[] {
  return conditionItem('if', task.if, 'if').map((item) => ({ ...item, stopIf: false }));
}

/** The task's `input.from`, on its raw input: what comes after it is evaluated on the transformed one. */
export function inputItems({ input }: TaskPlan): BatchItem[] {
  return valueItem('input', input?.from).map((item) => ({ ...item, bind: ['input', 'data'] }));
}

/** `output.as`, on the raw output: what comes after it is evaluated on the transformed one. */
export function outputItems(output: OutputPlan | undefined): BatchItem[] {
  return valueItem('output', output?.as).map((item) => ({ ...item, bind: ['output', 'data'] }));
}

/** `export.as`: the new context. */
export function exportItems(exported: OutputPlan | undefined): BatchItem[] {
  return valueItem('context', exported?.as);
}

/** An item where there is a template. */
export function valueItem(name: string, template: Template | undefined): BatchItem[] {
  return template === undefined ? [] : [{ name, template }];
}

/** An item where there is a condition; `name` is that of the item, `field` that of the document. */
export function conditionItem(name: string, condition: string | undefined, field: string): BatchItem[] {
  return condition === undefined ? [] : [{ name, condition, field }];
}
