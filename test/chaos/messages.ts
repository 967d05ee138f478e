import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { DEAD_LETTER_PARKED, DEAD_LETTER_RESOLVED } from '../../src/dsl/dead-letter-event';
import { messagesOf, withNats } from '../helpers/nats-stream';

const EVENTS_STREAM = 'BEAMLINE_EVENTS';
const HEARD_MS = 60_000;

/** A message that workers, or the driver, have published. */
export interface SentMessage {
  /** `Nats-Msg-Id`, by which the stream keeps copies out. */
  readonly messageId: string;
  /** Of the CloudEvent. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The workflow that a dead letter belongs to, and its step. */
  readonly workflowId?: string;
  readonly step?: string;
}

/** Source of the events that the driver publishes, with copies. */
export const DRIVER_SOURCE = '/driver';

/** All messages of both streams. */
export async function readMessages(url: string): Promise<readonly SentMessage[]> {
  const streams = await Promise.all([EVENTS_STREAM, 'BEAMLINE_DLQ'].map((stream) => messagesOf(url, stream)));
  return streams.flat().map(({ messageId, body }) => {
    const { id, source, type, data, subject } = body as {
      id: string;
      source: string;
      type: string;
      subject?: string;
      data?: { workflowId?: string };
    };
    const isLetter = type === DEAD_LETTER_PARKED || type === DEAD_LETTER_RESOLVED;
    const { workflowId } = data ?? {};
    return {
      messageId,
      id,
      source,
      type,
      ...(isLetter && workflowId !== undefined ? { workflowId } : {}),
      ...(isLetter && subject !== undefined ? { step: subject } : {}),
    };
  });
}

/** Waits until workers take events: who publishes before is not heard. */
export async function untilHeard(url: string): Promise<void> {
  const until = Date.now() + HEARD_MS;
  while (!(await hasConsumer(url))) {
    if (Date.now() > until) throw new Error(`no worker takes events from NATS after ${HEARD_MS / 1_000} s`);
    await delay(200);
  }
}

async function hasConsumer(url: string): Promise<boolean> {
  return await withNats(url, async (nats) => {
    const manager = await jetstreamManager(nats);
    const info = await manager.streams.info(EVENTS_STREAM).catch(() => undefined);
    return (info?.state.consumer_count ?? 0) > 0;
  });
}

/** A dead letter that the driver saw waiting. */
export interface SeenLetter {
  /** JSON Pointer of its step, with the iteration. */
  readonly letter: string;
  readonly retries: number;
  readonly failureId: string;
}

export interface MessageFindings {
  readonly lost: readonly string[];
  readonly duplicated: readonly string[];
}

/** What was wrong with the messages of one flow. */
export function checkMessages(
  all: readonly SentMessage[],
  flow: {
    readonly id: string;
    readonly emits: readonly string[];
    readonly letters: readonly SeenLetter[];
    /** It ended as it should: what it emits is out, and no letter of its waits. */
    readonly isDone: boolean;
  },
): MessageFindings {
  const lost: string[] = [];
  const duplicated: string[] = [];
  const demand = (what: string, found: readonly SentMessage[], isExpected: boolean): void => {
    if (found.length === 0 && isExpected) lost.push(`NATS ${what}`);
    if (found.length > 1) duplicated.push(`NATS ${what} (${found.length} times)`);
  };
  for (const type of flow.emits)
    demand(
      type,
      all.filter((message) => message.type === type),
      flow.isDone,
    );
  const parked = all.filter(({ type, workflowId }) => type === DEAD_LETTER_PARKED && workflowId === flow.id);
  const ids = new Set([
    ...parked.map(({ id }) => id),
    ...flow.letters.map(({ letter, retries, failureId }) => `default:${flow.id}:${letter}:${retries}:${failureId}`),
  ]);
  for (const id of ids) {
    demand(
      id,
      parked.filter((message) => message.id === id),
      true,
    );
    demand(
      `${id}:resolved`,
      all.filter((message) => message.id === `${id}:resolved`),
      flow.isDone,
    );
  }
  return { lost, duplicated };
}

/** Message ids that a stream has more than once. */
export function repeatedIds(all: readonly SentMessage[]): string[] {
  const counts = new Map<string, number>();
  for (const { messageId } of all) if (messageId !== '') counts.set(messageId, (counts.get(messageId) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 1).map(([id, count]) => `NATS message ${id} (${count} times)`);
}
