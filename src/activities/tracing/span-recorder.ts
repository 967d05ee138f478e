import { AsyncLocalStorage } from 'node:async_hooks';
import { FlowError, messageOf } from '../../dsl/errors';
import { shortText } from '../../dsl/problems';
import {
  type SpanAttributes,
  type SpanContext,
  type SpanRecord,
  sharedOf,
  type TraceHeader,
  traceHeaderOf,
} from '../../dsl/trace';
import type { Mask } from '../secrets/mask';
import { withShortTexts } from './sound-span';

/** Spans of one attempt that are kept; a block makes a handful. */
const MAX_SPANS = 500;

/** Longest message of an error, in characters: some quote what servers answered. */
const MAX_MESSAGE_LENGTH = 500;

const current = new AsyncLocalStorage<SpanRecorder>();

/** A span that goes on. */
export interface OpenSpan {
  readonly context: SpanContext;
  /** Adds what is known by now. `error`: what was thrown, or a code of the protocol. */
  tell(attributes: SpanAttributes, error?: unknown): void;
  /** Later calls do nothing. */
  end(): void;
}

/** What a span is when it begins. */
export interface SpanStart {
  readonly name: string;
  readonly kind: SpanRecord['kind'];
  readonly attributes: SpanAttributes;
}

/** Collects what one attempt of a step does, as spans below one. Without an SDK, so that it works in child processes too. */
export class SpanRecorder {
  readonly #records: SpanRecord[] = [];
  readonly #open = new Set<OpenSpan>();

  constructor(readonly context: SpanContext) {}

  /** That of the step whose code is running; undefined where it is not traced. */
  static current(): SpanRecorder | undefined {
    return current.getStore();
  }

  /** Runs work of the step. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return current.run(this, work);
  }

  get isSampled(): boolean {
    return this.context.sampled === true;
  }

  /** What a request to others carries along where it has no span of its own. */
  get header(): TraceHeader {
    return traceHeaderOf(this.context);
  }

  begin({ name, kind, attributes }: SpanStart): OpenSpan {
    const startMs = nowMs();
    const context: SpanContext = { ...sharedOf(this.context), span: newSpanId() };
    let known: Pick<SpanRecord, 'attributes' | 'error'> = { attributes };
    const span: OpenSpan = {
      context,
      tell: (more, error) => {
        known = { ...known, attributes: { ...known.attributes, ...more }, ...errorOf(error) };
      },
      end: () => {
        if (!this.#open.delete(span)) return;
        this.#keep({
          trace: context.id,
          span: context.span,
          parent: this.context.span,
          ...(context.state === undefined ? {} : { state: context.state }),
          name,
          kind,
          startMs,
          endMs: nowMs(),
          ...known,
        });
      },
    };
    this.#open.add(span);
    return span;
  }

  /** Runs a piece of work as a span. */
  async during<T>(start: SpanStart, work: () => Promise<T>, describe?: (result: T) => SpanAttributes): Promise<T> {
    const span = this.begin(start);
    try {
      const result = await work();
      span.tell(describe?.(result) ?? {});
      return result;
    } catch (error) {
      span.tell({}, error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** Takes over what a child process recorded. */
  addAll(records: readonly SpanRecord[]): void {
    for (const record of records) this.#keep(record);
  }

  /** All that was recorded, without secrets; what goes on still ends here. */
  take(mask: Mask): SpanRecord[] {
    for (const span of this.#open) span.end();
    return this.#records.splice(0).map((record) => masked(record, mask));
  }

  #keep(record: SpanRecord): void {
    if (this.isSampled && this.#records.length < MAX_SPANS) this.#records.push(withShortTexts(record));
  }
}

/** A new id of a span. Need not be hard to guess; random bytes of the system's took 1.4 % of a worker's time, measured. */
export function newSpanId(): string {
  return `${randomDigits()}${randomDigits()}`;
}

/** Eight, hexadecimal; not all of them 0. */
function randomDigits(): string {
  return (1 + Math.floor(Math.random() * 0xffff_ffff)).toString(16).padStart(8, '0');
}

/** Now, in ms since 1970, with fractions: what a span measures is often shorter than one. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** How a span says what went wrong: the code, and the message in short. */
export function errorOf(error: unknown): Pick<SpanRecord, 'error'> {
  if (error === undefined) return {};
  if (typeof error === 'string') return { error: { code: error } };
  const message = shortText(messageOf(error), MAX_MESSAGE_LENGTH);
  const code = error instanceof FlowError ? (error.data.code ?? error.data.type) : nameOf(error);
  return { error: { code, message } };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}

/** Texts may have been cut within a secret. */
function masked({ attributes, error, ...record }: SpanRecord, mask: Mask): SpanRecord {
  return {
    ...record,
    name: mask.cutText(record.name),
    attributes: mask.cutJson(attributes as Record<string, string | number | boolean>) as SpanAttributes,
    ...(error === undefined ? {} : { error: maskedError(error, mask) }),
  };
}

/** What went wrong, without secrets. */
export function maskedError(
  { code, message }: NonNullable<SpanRecord['error']>,
  mask: Mask,
): NonNullable<SpanRecord['error']> {
  return { code, ...(message === undefined ? {} : { message: mask.cutText(message) }) };
}
