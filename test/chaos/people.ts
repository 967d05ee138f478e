import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { DeadLetters } from '../../src/dsl/dead-letter';
import type { JsonObject } from '../../src/dsl/json';
import { withNats } from '../helpers/nats-stream';
import type { Manner, Occasion } from './commands';
import type { ChaosFlow } from './driver';
import { toldType } from './message-flows';
import { DRIVER_SOURCE } from './messages';
import type { World } from './world';

const TENANT = 'default';
/** How long a flow that failed may wait for the command that redrives many at once. */
const BULK_MS = 15_000;
const CALL_MS = 15_000;
/** After so many failures it is let through. */
const MAX_FAILURES = 3;
const MANNERS: readonly Manner[] = ['once', 'killed', 'twice'];

interface Progress {
  readonly steps: readonly { readonly name: string; readonly status: string }[];
}

/** What people and other programs do: they decide, cancel, publish, and mend what failed, with calls and with commands. */
export class People {
  /** What was done again and again, or in bulk, when. */
  readonly repeatedDecisions: Occasion[] = [];
  readonly singleRedrives: Occasion[] = [];
  readonly bulkRedrives: Occasion[] = [];

  constructor(private readonly world: World) {}

  /** Starts a flow with a command, in whatever manner. */
  async run(flow: ChaosFlow, args: readonly unknown[]): Promise<void> {
    const file = join(this.world.folder, `${flow.id}.json`);
    writeFileSync(file, JSON.stringify((args[0] as { flow: unknown }).flow));
    const { random } = flow;
    const manner = random.pick(MANNERS);
    const given = this.world.commands.give({
      args: ['run', file, '--id', flow.id, '--json'],
      manner,
      random,
      // It was there already: another try was through.
      allowed: [0, 2],
      isFollowing: true,
    });
    await Promise.race([given, this.#exists(flow)]);
    given.catch((error: Error) => void this.world.commands.problems.push(`beamline run: ${error.message}`));
  }

  async #exists({ id }: ChaosFlow): Promise<void> {
    for (;;) {
      await delay(500);
      try {
        await this.#soon(() => this.world.client.workflow.getHandle(id).describe());
        return;
      } catch {
        // Not yet.
      }
    }
  }

  /** What is done once in a flow of its kind; false: it is not time yet, or not all of it is done. */
  async act(flow: ChaosFlow, handle: WorkflowHandle): Promise<boolean> {
    switch (flow.kind.act) {
      case 'cancel':
        if ((await stepOf(handle, 'wait')) === undefined) return false;
        await handle.cancel();
        return true;
      case 'approve':
        return await this.#approve(flow);
      case 'publish':
        return await this.#publish(flow, handle);
      default:
        return true;
    }
  }

  async #approve(flow: ChaosFlow): Promise<boolean> {
    const ask = this.world.client.workflow.getHandle(`${flow.id}/ask`);
    const { status, decisions } = await ask.query<ApprovalState>('state');
    if (status !== 'pending') return true;
    const { random } = flow;
    const by = decisions.some((decision) => decision.by === 'alice') ? 'bob' : 'alice';
    if (random.next() < 0.3) {
      const args = ['approvals', 'approve', `${flow.id}/ask`, '--by', by];
      // 1: it says that this person has decided already.
      await this.world.commands.give({ args, manner: random.pick(MANNERS), random, allowed: [0, 1] });
      return false;
    }
    const from = Date.now();
    // The same person again and again, by signal and by update: counts once.
    for (let copy = 0; copy < 3; copy += 1) await ask.signal('approve', { by });
    await ask.executeUpdate('decide', { args: [{ decision: 'approved', by }] }).catch(() => undefined);
    if (by === 'bob') await ask.signal('reject', { by: 'carol' }).catch(() => undefined);
    this.repeatedDecisions.push({ from, to: Date.now() });
    return by === 'bob';
  }

  /** Publishes what it listens to just now, twice, until the stream has it. */
  async #publish(flow: ChaosFlow, handle: WorkflowHandle): Promise<boolean> {
    const { nats } = this.world;
    if (nats === undefined) return true;
    const isSecond = (await stepOf(handle, 'second'))?.status === 'listening';
    if (!isSecond && (await stepOf(handle, 'first'))?.status !== 'listening') return false;
    const n = isSecond ? 'two' : 'one';
    const type = toldType(flow.id);
    const event: JsonObject = { specversion: '1.0', id: `${flow.id}-${n}`, source: DRIVER_SOURCE, type, data: { n } };
    await withNats(nats.url, async (connection) => {
      const head = headers();
      head.set('content-type', 'application/cloudevents+json');
      for (const copy of [1, 2]) {
        const options = { msgID: `${flow.id}-${n}-${copy}`, headers: head };
        await jetstream(connection).publish(`beamline.events.${TENANT}.${type}`, JSON.stringify(event), options);
      }
    });
    return isSecond;
  }

  /** As a person would: looks whether the effect is there, skips the step where it is, and has it run again where not. */
  async resolveLetters(flow: ChaosFlow, handle: WorkflowHandle): Promise<void> {
    const { letters } = await handle.query<DeadLetters>('deadLetters');
    for (const { id, step, iteration = '0', retries, failedAt, failureId = '' } of letters) {
      const failure = `${id} ${failureId}`;
      const isNew = !flow.letters.has(failure);
      flow.letters.set(failure, { letter: id, retries, failureId });
      const { act } = flow.kind;
      if (act === 'retry' || act === 'skip' || act === 'discard') {
        await this.#resolveByCommand(flow, act);
        continue;
      }
      const key = `${TENANT}:${flow.id}:${step}:${iteration}:0`;
      const isDone = this.world.ledger.lines().some((line) => line.key === key);
      if (isNew && flow.random.next() < 0.3) {
        await this.#resolveSeen(flow, id, isDone);
        continue;
      }
      await handle.executeUpdate('resolve', {
        args: [{ id, failedAt, action: isDone ? 'skip' : 'retry', by: 'driver' }],
      });
    }
  }

  /** A second command may find another failure than the one that was looked at: only what is harmless then is said twice. */
  async #resolveSeen({ id, random }: ChaosFlow, letter: string, isDone: boolean): Promise<void> {
    const args = ['dlq', isDone ? 'skip' : 'retry', id, letter, '--by', 'driver'];
    const manner = random.pick(isDone ? MANNERS : (['once', 'killed'] as const));
    await this.world.commands.give({ args, manner, random });
  }

  async #resolveByCommand({ id, random }: ChaosFlow, act: 'retry' | 'skip' | 'discard'): Promise<void> {
    if (act === 'retry' && random.next() < 0.7) this.world.ledger.open(id);
    const args = ['dlq', act, id, '--by', 'driver'];
    // 1 and 2: somebody else was faster.
    await this.world.commands.give({ args, manner: random.pick(MANNERS), random, allowed: [0, 1, 2] });
  }

  /** Lets a flow that failed go on, alone or among others. */
  async redrive(flow: ChaosFlow): Promise<void> {
    const { id, random } = flow;
    flow.failures += 1;
    if (flow.failures >= MAX_FAILURES || random.next() < 0.6) this.world.ledger.open(id);
    const from = Date.now();
    if (random.next() < 0.4 && (await this.#wasRedriven(id, BULK_MS))) return;
    // 1: it runs again, since the command for many was faster.
    await this.world.commands.give({ args: ['redrive', id], manner: random.pick(MANNERS), random, allowed: [0, 1] });
    if (await this.#wasRedriven(id, 0)) this.singleRedrives.push({ from, to: Date.now() });
  }

  /** However long the rest takes, no call waits for ever. */
  #soon<T>(act: () => Promise<T>): Promise<T> {
    return this.world.client.withDeadline(Date.now() + CALL_MS, act);
  }

  async #wasRedriven(id: string, patienceMs: number): Promise<boolean> {
    const until = Date.now() + patienceMs;
    for (;;) {
      const { status } = await this.#soon(() => this.world.client.workflow.getHandle(id).describe());
      if (status.name !== 'FAILED') return true;
      if (Date.now() >= until) return false;
      await delay(500);
    }
  }

  /** Mends everything that waits, in bulk, again and again until it is over. */
  async sweep(random: ChaosFlow['random'], isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await delay(3_000);
      const from = Date.now();
      const redriven = await this.world.commands.give({
        args: ['redrive', '--flow', 'chaos/redriven', '--code', 'BLW_HTTP_STATUS', '--since', '5m', '--yes', '--json'],
        manner: random.pick(MANNERS),
        random,
        allowed: [0, 1],
      });
      if (redriven.some(({ stdout }) => stdout.includes('"newRunId"')))
        this.bulkRedrives.push({ from, to: Date.now() });
      await this.world.commands.give({
        args: ['dlq', 'retry', '--flow', 'chaos/letter-retry', '--yes', '--by', 'sweeper'],
        manner: random.pick(MANNERS),
        random,
        allowed: [0, 1],
      });
    }
  }
}

async function stepOf(handle: WorkflowHandle, name: string): Promise<Progress['steps'][number] | undefined> {
  const { steps } = await handle.query<Progress>('progress');
  return steps.find((step) => step.name === name);
}
