import type { Json, JsonObject } from '../../src/dsl/json';

/** What a flow has to have done when it has ended as it should. Keys are unique to the flow. */
export interface Expectation {
  /** Keys under which requests had an effect. */
  readonly http: readonly string[];
  /** Keys of rows in the SQLite database. */
  readonly sqlite: readonly string[];
  /** Keys of rows in the PostgreSQL database. */
  readonly postgres: readonly string[];
  /** Contents of blobs, by their paths. */
  readonly blobs: Readonly<Record<string, Buffer>>;
  /** Paths where no blob may be. */
  readonly gone: readonly string[];
  /** Keys of effects of any kind that must not be there. */
  readonly absent: readonly string[];
  /** Types of the events that it emits, each once. */
  readonly emits: readonly string[];
  /** Steps that wait as dead letters at least once. */
  readonly parks: readonly string[];
  /** Steps that may, since the outcome of a request may stay unknown. */
  readonly mayPark: readonly string[];
}

/** What people do to a flow while it runs. */
export type Act =
  | 'approve'
  | 'cancel'
  /** Publish on NATS what it listens to. */
  | 'publish'
  /** Let it go on once it has failed, from the step that failed. */
  | 'redrive'
  /** Resolve its dead letter in the one way that the kind says. */
  | 'retry'
  | 'skip'
  | 'discard';

export interface FlowKind {
  readonly name: string;
  /** How it ends: as a workflow, and with which code where it fails. */
  readonly ends: 'COMPLETED' | 'FAILED' | 'CANCELLED';
  readonly code?: string;
  readonly act?: Act;
  /** Started with `beamline run`. */
  readonly isCommanded?: true;
  readonly needsNats?: true;
  /** The start input, and what it is to do. */
  make(id: string, service: string): { readonly args: readonly unknown[]; readonly expects: Expectation };
}

export const NOTHING: Expectation = {
  http: [],
  sqlite: [],
  postgres: [],
  blobs: {},
  gone: [],
  absent: [],
  emits: [],
  parks: [],
  mayPark: [],
};

/** Outages are shorter than what these attempts last; a lost worker is noticed after three seconds. */
const METADATA = {
  heartbeat: 'PT3S',
  timeout: 'PT30S',
  retry: { initialInterval: 'PT0.2S', maximumInterval: 'PT2S', maximumAttempts: 1_000 },
};

/** A document that is called `chaos/NAME`. */
export function flowOf(name: string, tasks: readonly JsonObject[]): JsonObject {
  return {
    document: { dsl: '1.0.3', namespace: 'chaos', name, version: '1.0.0', metadata: METADATA },
    evaluate: { language: 'cel' },
    do: [...tasks],
  };
}

export const started = (flow: Json): readonly unknown[] => [{ flow, input: null }];

/** A row that nothing but the ledger of the database keeps from being written twice. */
export function insert(database: 'lite' | 'pg', key: string, more: JsonObject = {}): JsonObject {
  const statement = 'INSERT INTO chaos_effects (effect) VALUES (:effect)';
  return { call: 'sql.execute', with: { database, statement, parameters: { effect: key } }, ...more };
}

export function request(method: string, endpoint: string, metadata: JsonObject = {}): JsonObject {
  return { call: 'http', with: { method, endpoint }, metadata };
}
