import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { Expectation, FlowKind } from './flow-kind';
import type { SeenLetter } from './messages';
import { People } from './people';
import { Random } from './random';
import type { World } from './world';

const QUEUE = 'beamline-io';
const TENANT = 'default';
const PAUSE_MS = 300;
const MAX_BLOB_BYTES = 10_000_000;
const CALL_MS = 15_000;
const NO_FAILURE = 'no failure';

/** A flow that was started. */
export interface ChaosFlow {
  readonly id: string;
  readonly kind: FlowKind;
  readonly expects: Expectation;
  readonly startedAt: number;
  endedAt?: number;
  /** As it should have ended, or what was wrong. */
  verdict?: 'ok' | string;
  /** Dead letters that were seen waiting, by their failure. */
  readonly letters: Map<string, SeenLetter>;
  /** Decides how people deal with it. */
  readonly random: Random;
  /** How often it has failed and was left to be redriven. */
  failures: number;
}

/** Starts flows, decides, cancels and resolves as people would, with patience: whatever is away comes back. */
export class Driver {
  readonly flows: ChaosFlow[] = [];
  readonly #running = new Set<Promise<void>>();
  #isOver = false;
  readonly people: People;

  constructor(
    private readonly world: World,
    private readonly seed: number,
  ) {
    this.people = new People(world);
  }

  get open(): readonly ChaosFlow[] {
    return this.flows.filter(({ endedAt }) => endedAt === undefined);
  }

  /** Starts one and sees it to its end; resolves when that has come. */
  run(kind: FlowKind): Promise<ChaosFlow> {
    const index = this.flows.length;
    const id = `chaos-${this.seed}-${index}`;
    const { args, expects } = kind.make(id, this.world.ledger.origin);
    const random = new Random(this.seed * 100_003 + index);
    const flow: ChaosFlow = { id, kind, expects, startedAt: Date.now(), letters: new Map(), random, failures: 0 };
    this.flows.push(flow);
    const running = this.#see(flow, args);
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
    return running.then(() => flow);
  }

  /** Waits until all have ended; those that have not by then are hanging. */
  async settle(deadlineMs: number): Promise<readonly ChaosFlow[]> {
    const until = Date.now() + deadlineMs;
    while (this.open.length > 0 && Date.now() < until) await delay(PAUSE_MS);
    this.#isOver = true;
    // A call that does not come back is abandoned with its flow, which is among those that hang.
    await Promise.race([Promise.all(this.#running), delay(CALL_MS)]);
    return this.open;
  }

  async #see(flow: ChaosFlow, args: readonly unknown[]): Promise<void> {
    const handle = this.world.client.workflow.getHandle(flow.id);
    await this.#patiently(() =>
      flow.kind.isCommanded === true ? this.#command(flow, handle, args) : this.#start(flow, args),
    );
    let hasActed = false;
    for (;;) {
      const status = await this.#patiently(async () => (await handle.describe()).status.name);
      if (status === undefined) return;
      const isOpen = status === 'RUNNING' || status === 'CONTINUED_AS_NEW';
      if (!isOpen && (await this.#isForRedrive(flow, handle, status))) {
        await this.#patiently(() => this.people.redrive(flow));
      } else if (!isOpen) {
        flow.verdict = await this.#verdictOf(flow, handle, status);
        flow.endedAt = Date.now();
        return;
      } else {
        if (!hasActed) hasActed = await this.#call(() => this.people.act(flow, handle)).catch(() => false);
        await this.#call(() => this.people.resolveLetters(flow, handle)).catch(() => undefined);
      }
      await delay(PAUSE_MS);
    }
  }

  async #start(flow: ChaosFlow, args: readonly unknown[]): Promise<void> {
    try {
      await this.world.client.workflow.start('runFlow', {
        taskQueue: QUEUE,
        workflowId: flow.id,
        args: [...args],
        // A start whose answer was lost may be through by now.
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Says it until there is such a flow. */
  async #command(flow: ChaosFlow, handle: WorkflowHandle, args: readonly unknown[]): Promise<void> {
    await this.people.run(flow, args);
    await this.#call(() => handle.describe());
  }

  async #isForRedrive({ kind }: ChaosFlow, handle: WorkflowHandle, status: string): Promise<boolean> {
    if (kind.act !== 'redrive' || status !== 'FAILED') return false;
    const failure = await this.#failureOf(handle);
    // Somebody else's command may have let it go on meanwhile, to its end even.
    return failure.startsWith('BLW_HTTP_STATUS') || failure === NO_FAILURE;
  }

  /** No call waits for ever. */
  #call<T>(act: () => Promise<T>): Promise<T> {
    return this.world.client.withDeadline(Date.now() + CALL_MS, act);
  }

  async #verdictOf(flow: ChaosFlow, handle: WorkflowHandle, status: string): Promise<string> {
    const { kind } = flow;
    if (status !== kind.ends) return `ended as ${status}, expected ${kind.ends}: ${await this.#failureOf(handle)}`;
    if (kind.code !== undefined) {
      const failure = await this.#failureOf(handle);
      if (!failure.startsWith(kind.code)) return `failed with ${failure}, expected ${kind.code}`;
    }
    return await this.#checkBlobs(flow);
  }

  async #failureOf(handle: WorkflowHandle): Promise<string> {
    const said = await this.#patiently(async () => {
      try {
        await handle.result();
        return NO_FAILURE;
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        const { type, message } = (error.cause ?? error) as { type?: string; message: string };
        return `${type ?? 'no code'}: ${message}`;
      }
    });
    return said ?? 'unknown';
  }

  async #checkBlobs({ expects }: ChaosFlow): Promise<string> {
    const wrong: string[] = [];
    for (const [path, content] of Object.entries(expects.blobs)) {
      const found = await this.#patiently(() => this.world.blobs.read(TENANT, path, MAX_BLOB_BYTES));
      if (found?.content.equals(content) !== true) wrong.push(path);
    }
    for (const path of expects.gone) {
      if (
        (await this.#patiently(async () => ({ info: await this.world.blobs.stat(TENANT, path) })))?.info !== undefined
      )
        wrong.push(path);
    }
    return wrong.length === 0 ? 'ok' : `blobs are not as expected: ${wrong.join(', ')}`;
  }

  /** Tries until it works; undefined where the run is over first. */
  async #patiently<T>(act: () => Promise<T>): Promise<T | undefined> {
    while (!this.#isOver) {
      try {
        return await this.#call(act);
      } catch {
        await delay(PAUSE_MS);
      }
    }
    return undefined;
  }
}
