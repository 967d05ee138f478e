/**
 * Workflow id of a child of a step, told from the flow's id and the names on the way to the step, so that people can guess
 * it and no two collide: `order-7/approve`, in a loop inside a group `order-7/group/loop/approve/2`.
 */
export function childId(flowId: string, path: string, iteration: string, ...more: readonly string[]): string {
  // A pointer is keywords (`do`, `fork/branches` …), an index, a name, and so on down to the step.
  const names = path.split('/').filter((_, index, segments) => /^\d+$/.test(segments[index - 1] ?? ''));
  return [flowId, ...names, ...(iteration === '' ? [] : [iteration]), ...more].join('/');
}
