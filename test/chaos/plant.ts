import { messagesOf, publishTo } from '../helpers/nats-stream';
import type { ChaosFlow } from './driver';
import type { World } from './world';

/** What can be done wrong on purpose: a row twice, a row away, a message twice. */
export const PLANTS = ['duplicate', 'loss', 'message'] as const;
export type Plant = (typeof PLANTS)[number];

export function isPlant(text: string): text is Plant {
  return (PLANTS as readonly string[]).includes(text);
}

/** Does it to a flow that ended as it should. Throws where there is none, or no NATS. */
export async function plantWrong(world: World, flows: readonly ChaosFlow[], plant: Plant): Promise<void> {
  const done = flows.filter(({ verdict }) => verdict === 'ok');
  if (plant === 'message') {
    const { nats } = world;
    const sent = nats === undefined ? [] : await messagesOf(nats.url, 'BEAMLINE_DLQ');
    const [first] = sent;
    if (nats === undefined || first === undefined) throw new Error('--plant message: no dead letter was published');
    await publishTo(nats.url, first.subject, first.body);
    return;
  }
  const effect = done.flatMap(({ expects }) => expects.postgres)[0];
  if (effect === undefined) throw new Error(`--plant ${plant}: no flow has written a row`);
  await world.withPostgres((client) =>
    client.query(
      plant === 'duplicate'
        ? 'INSERT INTO chaos_effects (effect) VALUES ($1)'
        : 'DELETE FROM chaos_effects WHERE effect = $1',
      [effect],
    ),
  );
}
