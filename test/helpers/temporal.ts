import { findTemporal } from '../../temporal-dev/locate-temporal';
import { startTemporalServer, type TemporalServer, type TemporalServerOptions } from '../../temporal-dev/server';
import { LISTS_AT_ONCE } from './lists-at-once';

/** The Temporal server that the whole test run shares: use task queues and workflow ids of your own. */
export interface TestTemporal {
  /** `host:port` of the gRPC frontend. */
  readonly address: string;
  readonly namespace: string;
}

/**
 * Where the tests' Temporal server is: the one that jest's global setup started, or the one that
 * BEAMLINE_TEST_TEMPORAL_ADDRESS and BEAMLINE_TEST_TEMPORAL_NAMESPACE name. Throws an Error that says what to do
 * where there is none.
 */
export function testTemporal(): TestTemporal {
  const address = process.env.BEAMLINE_TEST_TEMPORAL_ADDRESS;
  if (!address) {
    throw new Error(
      'This test needs a Temporal server and there is none: run `npm run setup -- --server` once (jest then starts ' +
        'one for each run), or set BEAMLINE_TEST_TEMPORAL_ADDRESS to host:port of one that runs.',
    );
  }
  return { address, namespace: process.env.BEAMLINE_TEST_TEMPORAL_NAMESPACE || 'default' };
}

/** Starts a Temporal server for one suite, with lists that are written at once. The caller stops it. */
export async function startOwnTemporal({
  dynamicConfig = {},
  ...options
}: Pick<TemporalServerOptions, 'namespace' | 'dynamicConfig'> = {}): Promise<TemporalServer> {
  const log = () => undefined;
  return await startTemporalServer({
    ...options,
    cli: await findTemporal({ log, canInstall: false }),
    headless: true,
    log,
    dynamicConfig: { ...LISTS_AT_ONCE, ...dynamicConfig },
  });
}

/** The same with one that suggests a new history after so many events, so that flows continue as new early. */
export function startTemporalOfShortHistories(events: number): Promise<TemporalServer> {
  return startOwnTemporal({
    dynamicConfig: {
      'limit.historyCount.suggestContinueAsNew': events,
      // Else the server holds each further run back until the one before is a second old.
      'history.workflowIdReuseMinimalInterval': '1ms',
    },
  });
}
