import { jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import type { JsonObject } from '../../src/dsl/json';

/** A message that a stream has. */
export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly contentType: string;
  readonly origin: string;
  /** `Nats-Msg-Id`; empty where it has none. */
  readonly messageId: string;
  readonly body: JsonObject;
}

/** All messages of a stream whose subjects begin so, in its order; none where there is no such stream yet. */
export async function messagesOf(url: string, stream: string, prefix = ''): Promise<StoredMessage[]> {
  return await withNats(url, async (nats) => {
    const manager = await jetstreamManager(nats);
    const info = await manager.streams.info(stream).catch(() => undefined);
    if (info === undefined) return [];
    const { first_seq: first, last_seq: last } = info.state;
    const messages: StoredMessage[] = [];
    for (let sequence = Math.max(1, first); sequence <= last; sequence += 1) {
      const message = await manager.streams.getMessage(stream, { seq: sequence });
      if (message?.subject.startsWith(prefix) !== true) continue;
      messages.push({
        sequence,
        subject: message.subject,
        contentType: message.header.get('Content-Type'),
        origin: message.header.get('Beamline-Origin'),
        messageId: message.header.get('Nats-Msg-Id'),
        body: message.json<JsonObject>(),
      });
    }
    return messages;
  });
}

/** Publishes as any program may, and waits until the server has it. */
export async function publishTo(
  url: string,
  subject: string,
  ...bodies: readonly (JsonObject | string)[]
): Promise<void> {
  await withNats(url, async (nats) => {
    const head = headers();
    head.set('content-type', 'application/cloudevents+json');
    for (const body of bodies)
      nats.publish(subject, typeof body === 'string' ? body : JSON.stringify(body), { headers: head });
    await nats.flush();
  });
}

/** Connects, works and closes. */
export async function withNats<T>(url: string, work: (nats: NatsConnection) => Promise<T>): Promise<T> {
  const nats = await connect({ servers: url.replace('nats://', ''), reconnect: false });
  try {
    return await work(nats);
  } finally {
    await nats.close();
  }
}
