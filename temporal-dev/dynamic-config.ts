import { SEARCH_ATTRIBUTES as ATTRIBUTE_NAMES } from '../src/dsl/names';

/** The project's search attributes, with their types in Temporal. */
export const SEARCH_ATTRIBUTES: Readonly<Record<string, 'Keyword'>> = Object.fromEntries(
  Object.values(ATTRIBUTE_NAMES).map((name) => [name, 'Keyword'] as const),
);

/** Dynamic configuration of Temporal's server, by its keys. */
export type DynamicConfig = Readonly<Record<string, boolean | number | string>>;

/** A limit that one machine never meets. */
const NO_LIMIT = 100_000;

/**
 * Dynamic configuration of the embedded server (Temporal Server 1.29): what one small node needs to be fast and
 * fair. A larger deployment sets its own; temporal-dev/ has the file for it.
 */
export const DYNAMIC_CONFIG: DynamicConfig = {
  // Priorities need the new matcher, shares between tenants need fairness; both are off by default on 1.29.
  'matching.useNewMatcher': true,
  'matching.enableFairness': true,
  // Lets a workflow task bring back activities for the same worker at once, without a trip through matching:
  // a normal activity costs 8.4 persistence requests, an eager one 6.3.
  'system.enableActivityEagerExecution': true,
  // One partition keeps priority and fairness exact, since each partition orders only its own tasks, and saves
  // forwarding between four of them. To be set before any backlog exists.
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  // The default of 20 polls a second makes a lone sequential step wait 74 to 95 ms; with 2,000 it takes 8 to 10 ms.
  'history.transferProcessorMaxPollRPS': 2_000,
  // The timer queue looks ahead by this much: with the default of one second a timer of 50 ms takes a second.
  'history.timerProcessorMaxTimeShift': '20ms',
  // Whoever waits for a flow's end is told by a notice that the server drops where the one before it has not been read, and then hears of it with the
  // next question, after this long in place of 20 seconds. Of 100 flows at once, each with 20 steps in a queue, one was that late in 5 of 23 runs.
  // Each question costs client and server some 1.4 ms of CPU time together.
  'history.longPollExpirationInterval': '5s',
  // The CLI has every start and every search attribute of a flow read the namespace from the database, so that new search attributes are
  // there at once. Without it they are within two seconds, as on any cluster, and the server takes a tenth less CPU time for a short flow.
  'system.forceSearchAttributesCacheRefreshOnRead': false,
  // What lists show is written up to so many times a second, in place of 20: within half a second. Of a flow that has ended by then only the end
  // is written, the dearest of all writes to SQLite: a tenth less CPU time again.
  'history.visibilityProcessorMaxPollRPS': 2,
  // So many of them each time: with the default of 100 lists would be ever further behind at 60 flows a second.
  'history.visibilityTaskBatchSize': 1_000,
  // Per-host limits meant for clusters (1,200 to 9,000 a second); a flood of short steps meets them on one node.
  'frontend.rps': NO_LIMIT,
  'frontend.namespaceRPS': NO_LIMIT,
  'frontend.persistenceMaxQPS': NO_LIMIT,
  'history.rps': NO_LIMIT,
  'history.persistenceMaxQPS': NO_LIMIT,
  'matching.rps': NO_LIMIT,
  'matching.persistenceMaxQPS': NO_LIMIT,
};

/** The arguments that hand all of this to `temporal server start-dev`; `overrides` replace and add. */
export function configArguments(overrides: DynamicConfig = {}): string[] {
  return [
    ...Object.entries({ ...DYNAMIC_CONFIG, ...overrides }).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
    ...Object.entries(SEARCH_ATTRIBUTES).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  ];
}
