const TestSequencer = require('@jest/test-sequencer').default;

/**
 * The suites that take longest, the longest first. What is missing here, or has become quick, costs nothing but time at the end.
 */
const LONG = [
  'e2e/chaos',
  'attacks/blobs',
  'e2e/cli',
  'attacks/identity',
  'e2e/nats-outages',
  'e2e/quotas',
  'e2e/secret-search',
  'e2e/quotas-crash',
  'e2e/redrive',
  'e2e/graph-run',
  'cli/usage',
  'attacks/scripts',
  'e2e/late-attempts',
  'attacks/postgres',
  'e2e/crash',
  'cli/unreachable',
  'e2e/compensation-faults',
  'e2e/dead-letters-cli',
  'attacks/sqlite',
  'e2e/health',
  'attacks/http',
  'e2e/quotas-flows',
  'e2e/top-cli',
  'e2e/encryption-keys',
  'e2e/continue-as-new',
  'e2e/usage',
  'e2e/cli-dev-guide',
  'activities/block-process-pool',
  'e2e/limits',
  'activities/file-blob-paths',
  'e2e/deploy',
  'e2e/size',
  'worker/quota/place-processes',
  'e2e/large-payloads',
  'e2e/events-cli',
  'e2e/fence',
  'e2e/codec-server',
  'e2e/late-query',
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
 * Starts the long suites first, so that none of them is alone at the end while all other workers have nothing left to do. Jest
 * does so by itself where it has run the suites before; in a fresh checkout it goes by the size of the files, which says little.
 */
class LongestFirst extends TestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const isNew = ({ duration }) => duration === undefined;
    const fresh = sorted.filter(isNew).sort((left, right) => rankOf(left) - rankOf(right));
    return sorted.map((test) => (isNew(test) ? fresh.shift() : test));
  }
}

/** Place in the list, or its end. */
function rankOf({ path }) {
  const found = LONG.findIndex((suite) => path.endsWith(`/test/${suite}.test.ts`));
  return found === -1 ? LONG.length : found;
}

module.exports = LongestFirst;
