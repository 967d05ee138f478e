/** The flows that are compared, as a document of ours and as the arguments of the hand-written workflow, and what they have to end with. */

/** What a step does, and how one knows that it did. `nothing`: the least that a block does beside an activity that does nothing. */
const WORK = {
  http: {
    step: ({ url }) => ({ call: 'http', with: { method: 'get', endpoint: url } }),
    isDone: (output) => output?.ok === true,
  },
  nothing: {
    step: () => ({ call: 'fs.stat', with: { path: 'bench/none.json', ifMissing: 'ignore' } }),
    isDone: (output) => output?.exists === false,
  },
  file: {
    step: ({ id }, index) => ({ call: 'fs.put', with: { path: `bench/${id}/${index}.json`, content: { ok: true } } }),
    isDone: (output) => output?.size > 0,
  },
  sql: {
    step: () => ({ call: 'sql.query', with: { database: 'bench', statement: 'SELECT 1 AS one' } }),
    isDone: (output) => output?.rows?.[0]?.one === 1,
  },
};

/** A shape: so many flows of so many steps each, of one kind of work. */
export const SHAPES = {
  sequential: { kind: 'sequential', flows: 100, steps: 20, work: 'http' },
  parallel: { kind: 'parallel', flows: 100, steps: 20, work: 'http' },
  sequentialQueue: { kind: 'sequential', flows: 100, steps: 20, work: 'http', dispatch: 'queue' },
  parallelQueue: { kind: 'parallel', flows: 100, steps: 20, work: 'http', dispatch: 'queue' },
  local: { kind: 'sequential', flows: 100, steps: 20, work: 'http', dispatch: 'local' },
  localParallel: { kind: 'parallel', flows: 100, steps: 20, work: 'http', dispatch: 'local' },
  short: { kind: 'sequential', flows: 400, steps: 5, work: 'http' },
  long: { kind: 'sequential', flows: 20, steps: 200, work: 'http' },
  loop: { kind: 'loop', flows: 1, steps: 2_000, work: 'http' },
  nothing: { kind: 'sequential', flows: 100, steps: 20, work: 'nothing' },
  file: { kind: 'sequential', flows: 100, steps: 20, work: 'file' },
  sql: { kind: 'sequential', flows: 100, steps: 20, work: 'sql' },
};

/** One step, for its latency. */
export const LONE = { kind: 'lone', flows: 1, steps: 1, work: 'http' };

/** The start input of a flow of that shape. `at`: the `url` of the service, and the `id` of the flow. */
export function flowStart({ kind, steps, work, dispatch, path = '' }, { url, id }) {
  const at = { url: `${url}${path}`, id };
  const place = dispatch === undefined ? {} : { metadata: { dispatch } };
  const stepOf = (index) => ({ [`step${index}`]: { ...WORK[work].step(at, index), ...place } });
  const each = Array.from({ length: kind === 'loop' ? 1 : steps }, (_, index) => stepOf(index));
  const tasks = {
    lone: each,
    sequential: each,
    parallel: [{ all: { fork: { branches: each } } }],
    loop: [{ all: { for: { each: 'item', in: 'workflow.input.items' }, do: each } }],
  };
  const flow = {
    document: { dsl: '1.0.3', namespace: 'bench', name: kind, version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: tasks[kind],
  };
  return kind === 'loop' ? { flow, input: { items: itemsOf(steps) } } : { flow };
}

/** The same for the hand-written workflow. A path is put together there, in the activity. */
export function handStart({ kind, steps, work, dispatch }, { url, id }) {
  const argument = { http: url, file: id }[work] ?? null;
  const extent = kind === 'loop' ? { items: itemsOf(steps) } : { steps };
  return { workflow: kind, input: { work, argument, dispatch, ...extent } };
}

/** Whether that is what a flow of the shape, or the hand-written workflow, ends with. */
export function isExpected({ kind, steps, work }, output) {
  const { isDone } = WORK[work];
  if (kind !== 'parallel') return isDone(output);
  return Array.isArray(output) && output.length === steps && output.every((branch) => isDone(branch));
}

function itemsOf(steps) {
  return Array.from({ length: steps }, (_, index) => index);
}
