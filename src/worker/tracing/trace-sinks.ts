import type { InjectedSinks } from '@temporalio/worker';
import type { SpanRecord, TraceSinks } from '../../dsl/trace';
import type { Traces } from './traces';

/**
 * Spans of flows that were handed over last. A workflow task whose completion the server refuses, since something came in meanwhile, is
 * done again, and not as a replay.
 */
const REMEMBERED = 10_000;

/** Takes the spans of flows; without traces they go nowhere, as those of a flow that another worker prepared. */
export function createTraceSinks(traces: Traces | undefined): InjectedSinks<TraceSinks> {
  const sent = new Set<string>();
  const isNew = ({ trace, span }: SpanRecord): boolean => {
    const key = `${trace}${span}`;
    if (sent.has(key)) return false;
    sent.add(key);
    const [oldest] = sent;
    if (sent.size > REMEMBERED && oldest !== undefined) sent.delete(oldest);
    return true;
  };
  return {
    traces: {
      finished: {
        fn: (_, spans) => {
          if (traces === undefined) return;
          const { workerId } = traces;
          const known = spans.filter(isNew);
          traces.send(known.map((span) => ({ ...span, attributes: { worker_id: workerId, ...span.attributes } })));
        },
        callDuringReplay: false,
      },
    },
  };
}
