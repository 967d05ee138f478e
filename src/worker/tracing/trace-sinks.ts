import type { InjectedSinks } from '@temporalio/worker';
import { isSpanId, isTraceId, type SpanRecord, type TraceSinks } from '../../dsl/trace';
import { ToldOnce } from '../told-once';
import type { Traces } from './traces';

/** Takes the spans of flows; without traces they go nowhere, as those of a flow that another worker prepared. */
export function createTraceSinks(traces: Traces | undefined): InjectedSinks<TraceSinks> {
  const told = new ToldOnce();
  // Of what is no id, nobody knows how long it is.
  const isNew = ({ trace, span }: SpanRecord): boolean =>
    isTraceId(trace) && isSpanId(span) && told.isNew(`${trace}${span}`);
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
