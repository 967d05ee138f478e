import { Session } from 'node:inspector';
import { within } from '../../activities/within';

/** The thread is looked after so often within its limit. A machine that was suspended makes one look late, not all of them. */
const LOOKS = 12;

/** How long activations that were only held up have to answer once the thread is free. */
const SETTLE_MS = 1_000;

/** How long the inspector has to answer. */
const ANSWER_MS = 10_000;

/** Has the code that a thread runs stopped at once, as if it had thrown; the thread goes on with what comes next. */
export type InterruptThread = (threadId: number) => Promise<void>;

/** What is watched, and who hears of it. */
interface WatchOptions {
  readonly threadId: number;
  readonly limitMs: number;
  /** Whether the thread has been asked for something that it has not answered. */
  isAsked(): boolean;
  /** Does without the answer that is waited for longest: the thread takes one after the other, and what was stopped never answers. */
  giveUp(why: Error): void;
  /** Told of what went wrong when the thread was to be interrupted. */
  onError(error: unknown): void;
  readonly interrupt?: InterruptThread;
}

/**
 * Looks after the thread that runs the flows' code: where it gives no answer for `limitMs` although it was asked, what it runs is stopped and that
 * workflow task fails; other flows go on. The SDK's own guard does the same, but starts a thread for every call into that code, several
 * a workflow task (measured: 0.4 ms of CPU time a step, a tenth of what one costs a worker).
 */
export class FlowThreadWatch {
  readonly #timer: NodeJS.Timeout;
  #looksWithoutAnswer = 0;

  constructor(private readonly options: WatchOptions) {
    this.#timer = setInterval(() => this.#look(), options.limitMs / LOOKS).unref();
  }

  /** The thread has answered. */
  answered(): void {
    this.#looksWithoutAnswer = 0;
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { threadId, interrupt = interruptThread, onError, isAsked } = this.options;
    if (!isAsked()) return;
    this.#looksWithoutAnswer += 1;
    if (this.#looksWithoutAnswer <= LOOKS) return;
    this.#looksWithoutAnswer = 0;
    interrupt(threadId).then(() => setTimeout(() => this.#giveUp(), SETTLE_MS), onError);
  }

  #giveUp(): void {
    const { limitMs, giveUp } = this.options;
    this.#looksWithoutAnswer = 0;
    giveUp(new Error(`the flow's code ran for more than ${limitMs} ms without a wait, and was stopped`));
  }
}

/** By the inspector, which reaches a thread also while it is busy; connected for this alone. */
async function interruptThread(threadId: number): Promise<void> {
  const session = new Session();
  session.connect();
  try {
    const attached = new Promise<string>((resolve) => {
      session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
        // Its `workerId` counts the threads of this session.
        if (workerInfo.title.startsWith(`[worker ${threadId}]`)) resolve(sessionId);
      });
    });
    await post(session, 'NodeWorker.enable', { waitForDebuggerOnStart: false });
    const sessionId = await within(ANSWER_MS, attached);
    const answered = new Promise<void>((resolve) => {
      session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
        if (params.sessionId === sessionId) resolve();
      });
    });
    const message = JSON.stringify({ id: 1, method: 'Runtime.terminateExecution' });
    await post(session, 'NodeWorker.sendMessageToWorker', { sessionId, message });
    await within(ANSWER_MS, answered);
    await post(session, 'NodeWorker.disable', {});
  } finally {
    session.disconnect();
  }
}

function post(session: Session, method: string, params: object): Promise<void> {
  return new Promise((resolve, reject) => {
    session.post(method, params, (error) => (error === null ? resolve() : reject(error)));
  });
}
