import { shortText } from '../../dsl/problems';
import { isSpanId, isTraceId, isTraceState, MAX_EVENTS, type SpanAttributes, type SpanRecord } from '../../dsl/trace';

/** Longest text in a span, in characters. */
const MAX_TEXT_LENGTH = 2_000;

/** The span with texts that are not too long: what blocks are told to do may be of any length. */
export function withShortTexts(span: SpanRecord): SpanRecord {
  return { ...span, name: shortOf(span.name), attributes: shortAttributes(span.attributes) };
}

/**
 * The span, where it is one; else undefined. Whoever reaches Temporal may start workflows and activities of ours with what never was a
 * trace, and one span that cannot be sent takes all others along that are sent with it.
 */
export function soundSpan(span: SpanRecord): SpanRecord | undefined {
  const { trace, span: id, parent, state, startMs, endMs, error, events = [], links = [] } = span;
  const isPlaced = isTraceId(trace) && isSpanId(id) && (parent === undefined || isSpanId(parent));
  const isTimed = Number.isFinite(startMs) && Number.isFinite(endMs);
  if (!isPlaced || !isTimed || !(state === undefined || isTraceState(state))) return undefined;
  return {
    ...withShortTexts(span),
    ...(error === undefined ? {} : { error: shortError(error) }),
    events: events
      .slice(0, MAX_EVENTS)
      .flatMap(({ name, atMs, attributes }) =>
        Number.isFinite(atMs)
          ? [{ name: shortOf(name), atMs, ...(attributes && { attributes: shortAttributes(attributes) }) }]
          : [],
      ),
    links: links.filter((link) => isTraceId(link.trace) && isSpanId(link.span)),
  };
}

function shortError({ code, message }: NonNullable<SpanRecord['error']>): NonNullable<SpanRecord['error']> {
  return { code: shortOf(code), ...(message === undefined ? {} : { message: shortOf(message) }) };
}

/** Only what attributes may be. */
function shortAttributes(attributes: SpanAttributes): SpanAttributes {
  const short = Object.entries(attributes).flatMap(([name, value]) => {
    if (typeof value === 'string') return [[name, shortOf(value)]];
    return typeof value === 'boolean' || Number.isFinite(value) ? [[name, value]] : [];
  });
  return Object.fromEntries(short);
}

/** Its type only says that it is a text. */
function shortOf(text: string): string {
  return typeof text === 'string' ? shortText(text, MAX_TEXT_LENGTH) : '';
}
