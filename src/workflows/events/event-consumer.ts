import { FlowError } from '../../dsl/errors';
import type { CloudEvent } from '../../dsl/events/cloud-event';
import { containsJson, LiteralFilter } from '../../dsl/events/literal-filter';
import type { BatchItem, BatchValues, Variables } from '../../dsl/expressions/batch';
import { getOwn, isSameJson, type Json, type JsonObject, setOwn } from '../../dsl/json';
import type { EventFilterPlan, EventStrategyPlan } from '../../dsl/planning/plan';
import { shortText } from '../../dsl/problems';
import type { Routine } from '../drive';

/** What a consumer needs of the workflow that it runs in. */
export interface ConsumerHost {
  evaluate(items: readonly BatchItem[], variables: Variables): Routine<BatchValues>;
  /** Arguments of the filters' expressions; `data` is what `expect` is evaluated on. */
  variables(): Variables;
  /** Told of an event that a filter could not be evaluated on: anybody may send one, so it does not fail the flow. */
  note(text: string): void;
}

/** What a consumer remembers. Travels in history: add optional fields, never change one. */
export interface ConsumerState {
  /** Indexes of the filters that have had their event. */
  readonly matched: readonly number[];
  /** Values of the correlations that name none to expect: the first that came. */
  readonly keys: JsonObject;
}

/** Decides, event by event, what a strategy consumes (OWS dsl-reference, "Event Consumption Strategy"). */
export class EventConsumer {
  readonly #filters: readonly { readonly plan: EventFilterPlan; readonly literal: LiteralFilter }[];
  readonly #matched: Set<number>;
  readonly #keys: JsonObject;

  constructor(
    private readonly strategy: EventStrategyPlan,
    private readonly host: ConsumerHost,
    state: ConsumerState = { matched: [], keys: {} },
  ) {
    this.#filters = strategy.filters.map((plan) => ({ plan, literal: new LiteralFilter(plan.literal) }));
    this.#matched = new Set(state.matched);
    this.#keys = { ...state.keys };
  }

  state(): ConsumerState {
    return { matched: [...this.#matched], keys: { ...this.#keys } };
  }

  /** True once the strategy has all that it waits for; of `any` with `until`, whoever asks knows better. */
  get isComplete(): boolean {
    const { kind, filters } = this.strategy;
    return kind === 'all' ? this.#matched.size >= filters.length : this.#matched.size > 0;
  }

  /** Consumes the event if a filter wants it. Of `all`, each filter takes one event and each event goes to one filter. */
  *offer(event: CloudEvent): Routine<boolean> {
    if (this.#filters.length === 0) {
      this.#matched.add(0);
      return true;
    }
    for (const [index, { plan, literal }] of this.#filters.entries()) {
      if (this.strategy.kind === 'all' && this.#matched.has(index)) continue;
      if (!literal.matches(event)) continue;
      const keys = yield* this.#evaluate(plan, event);
      if (keys === undefined) continue;
      this.#matched.add(index);
      for (const [key, value] of keys) setOwn(this.#keys, key, value);
      return true;
    }
    return false;
  }

  /** Evaluates what of a filter is not literal. Undefined: no match; else the values of correlations to remember. */
  *#evaluate(filter: EventFilterPlan, event: CloudEvent): Routine<readonly [string, Json][] | undefined> {
    const { computed = [], correlate = [] } = filter;
    if (computed.length === 0 && correlate.length === 0) return [];
    // OWS: a filter's attributes are ones that the event must have.
    if (computed.some(({ attribute }) => getOwn(event, attribute) === undefined)) return undefined;
    let values: BatchValues;
    try {
      values = yield* this.host.evaluate(itemsOf(filter, event), this.host.variables());
    } catch (error) {
      if (!(error instanceof FlowError) || error.data.code !== 'BLW_EXPR_FAILED') throw error;
      this.host.note(`event ${shortText(event.id)} of type ${shortText(event.type)} is no match: ${error.message}`);
      return undefined;
    }
    const isMatch = computed.every(({ attribute }) =>
      isVerdictPositive(values[`with/${attribute}`], getOwn(event, attribute) ?? null),
    );
    return isMatch ? this.#correlate(correlate, values) : undefined;
  }

  /** OWS dsl-reference, "Correlation": without `expect`, the first value extracted is the expectation. */
  #correlate(
    correlations: NonNullable<EventFilterPlan['correlate']>,
    values: BatchValues,
  ): readonly [string, Json][] | undefined {
    const found: [string, Json][] = [];
    for (const { key, expect } of correlations) {
      const value = values[`from/${key}`] ?? null;
      if (value === null) return undefined;
      const expected = expect === undefined ? getOwn(this.#keys, key) : (values[`expect/${key}`] ?? null);
      if (expected === undefined) found.push([key, value]);
      else if (!isSameKey(value, expected)) return undefined;
    }
    return found;
  }
}

/** `expect` on what the task has, each attribute's expression on the attribute, `from` on the event. */
function itemsOf({ computed = [], correlate = [] }: EventFilterPlan, event: CloudEvent): BatchItem[] {
  const on = (data: Json): BatchItem => ({ name: 'on', template: { value: data }, bind: ['data'] });
  return [
    ...correlate.flatMap(({ key, expect }) =>
      expect === undefined ? [] : [{ name: `expect/${key}`, template: expect }],
    ),
    ...computed.flatMap(({ attribute, value }) => [
      on(getOwn(event, attribute) ?? null),
      { name: `with/${attribute}`, template: value },
    ]),
    ...(correlate.length === 0 ? [] : [on(event)]),
    ...correlate.map(({ key, from }) => ({ name: `from/${key}`, template: from })),
    // The values may travel through history, which need not have the event once more.
    on(null),
  ];
}

/** An expression that gives true or false decides; any other value is what the attribute has to be. */
function isVerdictPositive(given: Json | undefined, actual: Json): boolean {
  return typeof given === 'boolean' ? given : containsJson(actual, given ?? null);
}

/** A constant in the document is text, and what is extracted may be a number. */
function isSameKey(value: Json, expected: Json): boolean {
  if (typeof value === 'object' || typeof expected === 'object') return isSameJson(value, expected);
  return String(value) === String(expected);
}
