import { Session } from 'node:inspector';
import type { Workflow, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import { within } from '../../activities/within';

/** The thread is looked after so often within its limit. A machine that was suspended makes one look late, not all of them. */
const LOOKS = 12;

/** How long activations that were only held up have to answer once the thread is free. */
const SETTLE_MS = 1_000;

/** How long the inspector has to answer. */
const ANSWER_MS = 10_000;

/** Has the code that a thread runs stopped at once, as if it had thrown; the thread goes on with what comes next. */
export type InterruptThread = (threadId: number) => Promise<void>;

interface Running {
  readonly reject: (error: Error) => void;
}

/**
 * Looks after the thread that runs the flows' code: where it gives no answer for `limitMs` although it was asked, what it runs is stopped and that
 * workflow task fails; other flows go on. The SDK's own guard does the same, but starts a thread for every call into that code, several
 * a workflow task (measured: 0.4 ms of CPU time a step, a tenth of what one costs a worker).
 */
export class FlowThreadWatch {
  readonly #running = new Set<Running>();
  readonly #timer: NodeJS.Timeout;
  #looksWithoutAnswer = 0;

  constructor(
    private readonly options: {
      readonly threadId: number;
      readonly limitMs: number;
      /** Told of what went wrong when the thread was to be interrupted. */
      readonly onError: (error: unknown) => void;
      readonly interrupt?: InterruptThread;
    },
  ) {
    this.#timer = setInterval(() => this.#look(), options.limitMs / LOOKS).unref();
  }

  /** The same creator, and flows that are looked after. */
  wrap(creator: WorkflowCreator): WorkflowCreator {
    return {
      // Not an answer of the thread, which makes the flow when it goes on for the first time.
      createWorkflow: async (options) => this.#wrapWorkflow(await creator.createWorkflow(options)),
      destroy: async () => {
        clearInterval(this.#timer);
        await creator.destroy();
      },
    };
  }

  #wrapWorkflow(workflow: Workflow): Workflow {
    return {
      activate: async (activation) => {
        try {
          return await this.#watch(() => workflow.activate(activation));
        } catch (error) {
          // The SDK forgets it here, and would leave it in the thread.
          await workflow.dispose();
          throw error;
        }
      },
      getAndResetSinkCalls: () => workflow.getAndResetSinkCalls(),
      dispose: () => workflow.dispose(),
    };
  }

  #watch<T>(ask: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#running.size === 0) this.#looksWithoutAnswer = 0;
      const running = { reject };
      this.#running.add(running);
      const answered = (): void => {
        this.#running.delete(running);
        this.#looksWithoutAnswer = 0;
      };
      ask().then(
        (answer) => {
          answered();
          resolve(answer);
        },
        (error: unknown) => {
          answered();
          reject(error);
        },
      );
    });
  }

  #look(): void {
    if (this.#running.size === 0) return;
    this.#looksWithoutAnswer += 1;
    if (this.#looksWithoutAnswer <= LOOKS) return;
    this.#looksWithoutAnswer = 0;
    const { threadId, interrupt = interruptThread, onError } = this.options;
    interrupt(threadId).then(() => setTimeout(() => this.#fail(), SETTLE_MS), onError);
  }

  /** The thread takes one after the other: the oldest that is left is the one that was stopped, and will never answer. */
  #fail(): void {
    const [stopped] = this.#running;
    if (stopped === undefined) return;
    this.#running.delete(stopped);
    stopped.reject(
      new Error(`the flow's code ran for more than ${this.options.limitMs} ms without a wait, and was stopped`),
    );
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
