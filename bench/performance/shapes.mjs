/** The flows that are compared, as a document of ours and as the arguments of the hand-written workflow. */

/** What a step does. `nothing`: the least that a block does beside an activity that does nothing. */
const WORK = {
  http: (url) => ({ call: 'http', with: { method: 'get', endpoint: url } }),
  nothing: () => ({ call: 'fs.stat', with: { path: 'bench/none.json' } }),
  file: () => ({ call: 'fs.put', with: { path: 'bench/x.json', content: { ok: true } } }),
  sql: () => ({ call: 'sql.query', with: { database: 'bench', statement: 'SELECT 1 AS one' } }),
};

/** A shape: so many flows of so many steps each, of one kind of work. */
export const SHAPES = {
  sequential: { kind: 'sequential', flows: 100, steps: 20, work: 'http' },
  parallel: { kind: 'parallel', flows: 100, steps: 20, work: 'http' },
  short: { kind: 'sequential', flows: 400, steps: 5, work: 'http' },
  long: { kind: 'sequential', flows: 20, steps: 200, work: 'http' },
  loop: { kind: 'loop', flows: 1, steps: 2_000, work: 'http' },
  nothing: { kind: 'sequential', flows: 100, steps: 20, work: 'nothing' },
  file: { kind: 'sequential', flows: 100, steps: 20, work: 'file' },
  sql: { kind: 'sequential', flows: 100, steps: 20, work: 'sql' },
};

/** One step, for its latency. */
export const LONE = { kind: 'sequential', flows: 1, steps: 1, work: 'http' };

/** The start input of a flow of that shape. */
export function flowStart({ kind, steps, work }, url) {
  const step = WORK[work](url);
  const each = Array.from({ length: steps }, (_, index) => ({ [`step${index}`]: step }));
  const tasks = {
    sequential: () => each,
    parallel: () => [{ all: { fork: { branches: each } } }],
    loop: () => [
      { all: { for: { each: 'item', in: `[${Array.from({ length: steps }, (_, index) => index)}]` }, do: [{ step }] } },
    ],
  };
  const flow = {
    document: { dsl: '1.0.3', namespace: 'bench', name: kind, version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: tasks[kind](),
  };
  return { flow };
}

/** The same for the hand-written workflow: a loop there is a loop in code. */
export function handStart({ kind, steps, work }, url) {
  return { workflow: kind === 'parallel' ? 'parallel' : 'sequential', input: { work, argument: url, steps } };
}
