import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { DeadLetters } from '../../src/dsl/dead-letter';
import type { Expectation, FlowKind } from './flows';
import type { World } from './world';

const QUEUE = 'beamline-io';
const TENANT = 'default';
const PAUSE_MS = 300;
const MAX_BLOB_BYTES = 10_000_000;
const CALL_MS = 15_000;

/** A flow that was started. */
export interface ChaosFlow {
  readonly id: string;
  readonly kind: FlowKind;
  readonly expects: Expectation;
  readonly startedAt: number;
  endedAt?: number;
  /** As it should have ended, or what was wrong. */
  verdict?: 'ok' | string;
  /** Dead letters that were resolved, by the idempotency key of their step: with what. */
  readonly letters: Map<string, 'retry' | 'skip'>;
}

/** Starts flows, decides, cancels and resolves as people would, with patience: whatever is away comes back. */
export class Driver {
  readonly flows: ChaosFlow[] = [];
  readonly #running = new Set<Promise<void>>();
  #isOver = false;

  constructor(
    private readonly world: World,
    private readonly prefix: string,
  ) {}

  get open(): readonly ChaosFlow[] {
    return this.flows.filter(({ endedAt }) => endedAt === undefined);
  }

  /** Starts one and sees it to its end; resolves when that has come. */
  run(kind: FlowKind): Promise<ChaosFlow> {
    const id = `${this.prefix}-${this.flows.length}`;
    const { args, expects } = kind.make(id, this.world.ledger.origin);
    const flow: ChaosFlow = { id, kind, expects, startedAt: Date.now(), letters: new Map() };
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
    const { client } = this.world;
    await this.#patiently(async () => {
      try {
        await client.workflow.start('runFlow', { taskQueue: QUEUE, workflowId: flow.id, args: [...args] });
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    });
    const handle = client.workflow.getHandle(flow.id);
    let hasActed = false;
    for (;;) {
      const status = await this.#patiently(async () => (await handle.describe()).status.name);
      if (status === undefined) return;
      if (status !== 'RUNNING' && status !== 'CONTINUED_AS_NEW') {
        flow.verdict = await this.#verdictOf(flow, handle, status);
        flow.endedAt = Date.now();
        return;
      }
      if (!hasActed) hasActed = await this.#call(() => this.#act(flow, handle)).catch(() => false);
      await this.#call(() => this.#resolveLetters(flow, handle)).catch(() => undefined);
      await delay(PAUSE_MS);
    }
  }

  /** What a person does once in a flow of its kind; false: it is not time yet. */
  async #act(flow: ChaosFlow, handle: WorkflowHandle): Promise<boolean> {
    if (flow.kind.name === 'cancelled') {
      const { steps } = await handle.query<{ steps: { name: string }[] }>('progress');
      if (!steps.some(({ name }) => name === 'wait')) return false;
      await handle.cancel();
      return true;
    }
    if (flow.kind.name !== 'approval') return true;
    const ask = this.world.client.workflow.getHandle(`${flow.id}/ask`);
    const { status } = await ask.query<{ status: string }>('state');
    if (status !== 'pending') return true;
    // The same person again and again, by signal and by update: counts once.
    for (let copy = 0; copy < 3; copy += 1) await ask.signal('approve', { by: 'alice' });
    await ask.executeUpdate('decide', { args: [{ decision: 'approved', by: 'alice' }] }).catch(() => undefined);
    await ask.signal('approve', { by: 'bob' });
    await ask.signal('reject', { by: 'carol' }).catch(() => undefined);
    return true;
  }

  /** As a person would: looks whether the effect is there, skips the step where it is, and has it run again where not. */
  async #resolveLetters(flow: ChaosFlow, handle: WorkflowHandle): Promise<void> {
    const { letters } = await handle.query<DeadLetters>('deadLetters');
    for (const { id, step, iteration = '0' } of letters) {
      const key = `${TENANT}:${flow.id}:${step}:${iteration}:0`;
      const isDone = this.world.ledger.lines().some((line) => line.key === key);
      const action = isDone ? 'skip' : 'retry';
      flow.letters.set(key, action);
      await handle.executeUpdate('resolve', { args: [{ id, action, by: 'driver' }] });
    }
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
        return 'no failure';
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
