/** The flows that `npm run bench:size` runs: what is large about each, and how many requests have to arrive for it. */

/** A request whose path tells the item; POST, since then it has the step's idempotency key. */
const post = (url, item) => ({ call: 'http', with: { method: 'post', endpoint: `${url}/${item}` } });

/** The same, with an expression for the item. */
const postEach = (url, item) => ({
  call: 'http',
  with: { method: 'post', endpoint: `\${ "${url}/" + string(${item}) }` },
});

const numbers = (count) => Array.from({ length: count }, (_, index) => index);

function flow(name, tasks) {
  return {
    document: { dsl: '1.0.3', namespace: 'bench', name, version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: tasks,
  };
}

/** A `for` over the input's items, one call each. */
function loop(name, url, metadata) {
  const each = {
    for: { each: 'item', in: 'workflow.input.items' },
    ...(metadata === undefined ? {} : { metadata }),
    do: [{ send: postEach(url, 'item') }],
    output: { as: '{}' },
  };
  return flow(name, [{ each }]);
}

/** Goes back to its first step until it has been there `rounds` times: two steps a round. */
function rounds(name, url, count) {
  return flow(name, [
    { begin: { set: { round: 0 }, export: { as: 'data' } } },
    {
      send: {
        ...postEach(url, 'context.round'),
        output: { as: '{}' },
        export: { as: '{"round": context.round + 1}' },
      },
    },
    // biome-ignore lint/suspicious/noThenProperty: OWS's directive
    { more: { switch: [{ again: { when: `context.round < ${count}`, then: 'send' } }, { done: { then: 'end' } }] } },
  ]);
}

function fork(name, url, count) {
  const branches = numbers(count).map((index) => ({
    [`b${index}`]: { ...post(url, index), output: { as: `${index}` } },
  }));
  return flow(name, [{ all: { fork: { branches } } }]);
}

function document(name, url, count) {
  return flow(
    name,
    numbers(count).map((index) => ({ [`s${index}`]: { ...post(url, index), output: { as: '{}' } } })),
  );
}

/** `steps` are those that the flow counts; `requests` those that have to arrive, each once, for every one of `flows`. */
function shapeOf(name, { make, items, requests, steps, flows = 1, check = () => true }) {
  return { name, make, input: items === undefined ? {} : { items: numbers(items) }, requests, steps, flows, check };
}

function loopShape(name, items, metadata, flows = 1) {
  return shapeOf(name, {
    make: (url) => loop(name, url, metadata),
    items,
    requests: items,
    steps: items,
    flows,
  });
}

/** All shapes; `scale` makes them smaller. */
export function shapes(scale) {
  const of = (count) => Math.max(10, Math.round(count * scale));
  return [
    shapeOf('fork', {
      make: (url) => fork('fork', url, of(1_000)),
      requests: of(1_000),
      steps: of(1_000),
      check: (output) => JSON.stringify(output) === JSON.stringify(numbers(of(1_000))),
    }),
    loopShape('for-sequential', of(10_000)),
    loopShape('for-concurrency-50', of(10_000), { concurrency: 50 }),
    loopShape('for-windows', of(10_000), { concurrency: 400, batchSize: 100 }),
    shapeOf('rounds', {
      make: (url) => rounds('rounds', url, of(10_000)),
      requests: of(10_000),
      steps: 2 * of(10_000) + 1,
    }),
    shapeOf('document', {
      make: (url) => document('document', url, of(20_000)),
      requests: of(20_000),
      steps: of(20_000),
    }),
    loopShape('flows', of(1_000), { concurrency: 20 }, of(100)),
  ];
}
