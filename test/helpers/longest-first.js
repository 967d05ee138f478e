const TestSequencer = require('@jest/test-sequencer').default;

/**
 * The suites that take longest, about the longest first; those that start many processes apart from each other, since they are
 * what makes the machine busy. What is missing here, or has become quick, costs nothing but time at the end.
 */
const LONG = [
  'e2e/chaos',
  'attacks/blobs',
  'attacks/identity',
  'e2e/quotas-crash',
  'e2e/secret-search',
  'e2e/redrive',
  'e2e/nats-outages',
  'attacks/scripts',
  'docs/docs',
  'e2e/late-attempts',
  'e2e/quotas',
  'cli/unreachable',
  'e2e/crash',
  'attacks/postgres',
  'e2e/graph-run',
  'attacks/sqlite',
  'e2e/cli',
  'e2e/dead-letters-cli',
  'e2e/quotas-flows',
  'attacks/http',
  'e2e/late-query',
  'e2e/health',
  'activities/block-process-pool',
  'activities/file-blob-paths',
  'e2e/compensation-faults',
  'e2e/top-cli',
  'e2e/usage',
  'e2e/continue-as-new',
  'e2e/cli-dev-guide',
  'e2e/limits',
  'worker/quota/place-processes',
  'e2e/deploy',
  'e2e/size',
  'e2e/fence',
  'e2e/encryption-keys',
  'e2e/large-payloads',
  'e2e/events-cli',
  'e2e/codec-server',
  'activities/script-pool',
  'e2e/dead-letters-continue',
  'e2e/cli-dev',
  'activities/expression-engine',
  'temporal-dev/server',
  'e2e/events',
  'e2e/dead-letters',
  'e2e/identity-flows',
  'e2e/random-flows',
];

/**
 * Starts what has failed first, then the long suites, so that none of them is alone at the end while all other workers have nothing
 * left to do; always in the same order. Jest by itself goes by the size of the files where it has not run them before, which says
 * little, and by how long they took where it has.
 */
class LongestFirst extends TestSequencer {
  static LONG = LONG;

  sort(tests) {
    const rankOf = (test) => (this.hasFailed(test) ? -1 : placeOf(test));
    // What is not in the list stays in the order of jest.
    return [...super.sort(tests)].sort((left, right) => rankOf(left) - rankOf(right));
  }
}

/** Place in the list, or its end. */
function placeOf({ path }) {
  const found = LONG.findIndex((suite) => path.endsWith(`/test/${suite}.test.ts`));
  return found === -1 ? LONG.length : found;
}

module.exports = LongestFirst;
