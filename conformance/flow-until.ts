import { isJsonObject, type Json, type JsonObject, setOwn } from '../src/dsl/json';

/**
 * The same flow, ending right after a task, so that its output is that task's: `then: end` there, and no `output` of what is
 * around it. The engine tells how tasks end, not what they put out, which is data of the flow. Undefined where the flow has no
 * task of the name.
 */
export function flowUntil(task: string, flow: JsonObject): JsonObject | undefined {
  const copy = structuredClone(flow);
  return endAfter(task, copy) ? copy : undefined;
}

/** Changes the first task of the name inside of a task (or flow), and what is around it; false where there is none. */
function endAfter(name: string, around: JsonObject): boolean {
  for (const entry of taskLists(around).flat().filter(isJsonObject)) {
    for (const [key, task] of Object.entries(entry)) {
      if (!isJsonObject(task)) continue;
      if (key === name) endFlowWith(task);
      else if (!endAfter(name, task)) continue;
      delete around.output;
      return true;
    }
  }
  return false;
}

/** The lists of tasks right inside of a task or flow (OWS dsl-reference, "Task"). */
function taskLists(around: JsonObject): Json[][] {
  const inside = (key: string, list: string) => (isJsonObject(around[key]) ? around[key][list] : undefined);
  const lists = [around.do, around.try, inside('catch', 'do'), inside('fork', 'branches'), inside('foreach', 'do')];
  return lists.filter((list) => Array.isArray(list));
}

/** The `then` of a case and of a `catch` counts more than the task's own. */
function endFlowWith(task: JsonObject): void {
  setOwn(task, 'then', 'end');
  if (isJsonObject(task.catch)) delete task.catch.then;
  const cases = Array.isArray(task.switch) ? task.switch.filter(isJsonObject) : [];
  for (const branch of cases.flatMap((entry) => Object.values(entry)).filter(isJsonObject)) {
    setOwn(branch, 'then', 'end');
  }
}
