import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { replayDataConverter } from './data-converter';
import { createFlowLogSinks } from './flow-log';
import { FLOW_CODE_LIMIT, FlowWorker } from './flow-thread/flow-worker';
import { WORKFLOW_BUNDLE } from './package-files';
import { createTraceSinks } from './tracing/trace-sinks';

/** One stored history, replayed. */
export interface ReplayOutcome {
  /** `version/file workflowId`. */
  readonly name: string;
  /** Why it does not replay: the workflows of today take another course than the recorded one. */
  readonly error?: Error;
}

/** Where the large payloads of the histories are, if they have any. */
export interface ReplayStore {
  /** Absolute. */
  readonly blobRoot?: string | undefined;
  /** That the flows ran in; default: `default`. */
  readonly namespace?: string | undefined;
}

/** Replays the histories in `folder/<version>/<file>.json` on the workflow bundle. */
export async function* replayHistories(folder: string, store: ReplayStore = {}): AsyncGenerator<ReplayOutcome> {
  for (const version of readdirSync(folder).sort()) {
    for (const file of readdirSync(join(folder, version)).sort()) {
      const histories = JSON.parse(readFileSync(join(folder, version, file), 'utf8')) as Record<string, unknown>;
      yield* replayFile(`${version}/${file}`, histories, store);
    }
  }
}

/** The SDK replays in its debug mode, in the main thread, unless it is told otherwise, for which its types have no option. */
const IN_THE_THREAD = { debugMode: false };

async function* replayFile(
  name: string,
  histories: Record<string, unknown>,
  store: ReplayStore,
): AsyncGenerator<ReplayOutcome> {
  const results = FlowWorker.runReplayHistories(
    {
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      dataConverter: replayDataConverter(store),
      ...FLOW_CODE_LIMIT,
      ...IN_THE_THREAD,
      // The SDK complains of sinks that nobody offers, although none is called.
      sinks: { ...createFlowLogSinks({ log: () => undefined }), ...createTraceSinks(undefined) },
    },
    Object.entries(histories).map(([workflowId, history]) => ({ workflowId, history: historyFromJSON(history) })),
  );
  for await (const { workflowId, error } of results)
    yield { name: `${name} ${workflowId}`, ...(error === undefined ? {} : { error }) };
}
