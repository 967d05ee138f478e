import { findExecutor } from '../../src/activities/executors';
import { BLOCK_SPECS } from '../../src/dsl/block-registry';

test.each(BLOCK_SPECS.map(({ type, kind }) => [type, kind] as const))(
  'the block %s has an executor unless people do it',
  (type, kind) => {
    expect(findExecutor(type) !== undefined).toBe(kind === 'activity');
  },
);
