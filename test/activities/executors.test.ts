import { findExecutor } from '../../src/activities/executors';
import { BLOCK_SPECS } from '../../src/dsl/block-registry';
import { SCRIPT_BLOCK } from '../../src/dsl/script';

// Of script.run it is a pool of processes (src/worker/pools.ts).
test.each(BLOCK_SPECS.filter(({ type }) => type !== SCRIPT_BLOCK).map(({ type, kind }) => [type, kind] as const))(
  'the block %s has an executor unless people do it',
  (type, kind) => {
    expect(findExecutor(type) !== undefined).toBe(kind === 'activity');
  },
);

test('names of objects are no blocks', () => {
  expect(findExecutor('constructor')).toBeUndefined();
});
