/** Entry of the threads in which expressions are evaluated; started by host-main.ts, never by hand. */
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { JqRuntime } from './jq-runtime';
import { createJsonataSandbox, type EvaluateJsonata } from './jsonata-sandbox';
import type { Job, ThreadData, ThreadMessage } from './protocol';
import { type Languages, runJob } from './run-job';

const port = parentPort;
if (port === null) throw new Error('thread-main.ts runs in a worker thread only');
const { jq, position, warm } = workerData as ThreadData;

let jqRuntime: JqRuntime | undefined;
let evaluateJsonata: EvaluateJsonata | undefined;
const languages: Languages = {
  cel: () => (require('./cel-evaluator') as typeof import('./cel-evaluator')).evaluateCel,
  jq: () => {
    jqRuntime ??= new JqRuntime(jq);
    return jqRuntime;
  },
  jsonata: () => {
    evaluateJsonata ??= createJsonataSandbox();
    return evaluateJsonata;
  },
};

/** This thread's number in the operating system; only Linux tells. */
function threadId(): { tid?: number } {
  try {
    const tid = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    return Number.isInteger(tid) ? { tid } : {};
  } catch {
    return {};
  }
}

async function take(text: string): Promise<ThreadMessage> {
  const answer = await runJob(JSON.parse(text) as Job, languages, (at) => Atomics.store(position, 0, at));
  return { type: 'answer', answer: JSON.stringify(answer) };
}

const send = (message: ThreadMessage): void => port.postMessage(message);

// One job at a time. What is no failure of an expression ends the thread, which fails its job and no other.
port.on('message', (text: string) => {
  take(text).then(
    (answer) => {
      send(answer);
      jqRuntime?.prepare();
    },
    (error: unknown) => {
      setImmediate(() => {
        throw error;
      });
    },
  );
});

if (warm.includes('jq')) languages.jq().prepare();
if (warm.includes('jsonata')) languages.jsonata();
send({ type: 'ready', ...threadId() });
