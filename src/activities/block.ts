import type { DryStep } from '../dsl/dry-run/dry-run';
import type { Json, JsonObject } from '../dsl/json';
import type { LocalAttempt } from '../dsl/local-step';
import type { QuotaClaim } from '../dsl/quota';
import type { SpanContext } from '../dsl/trace';
import type { Access } from './access/access';
import type { Fence } from './fence';
import type { BlobStore } from './ports/blob-store';
import type { HttpClient } from './ports/http-client';
import type { SqlDatabases } from './ports/sql-databases';

/** Which step runs, and under which key its effect is known. */
export interface StepIdentity {
  readonly tenant: string;
  /** Workflow id of the flow. */
  readonly flowId: string;
  /** `namespace/name:version`. */
  readonly flow: string;
  /** JSON Pointer of the step in its document, e.g. `/do/0/getOrder`. */
  readonly stepId: string;
  readonly blockType: string;
  /** `tenant:workflowId:stepPath:iteration:generation`; the same on every attempt. */
  readonly idempotencyKey: string;
  /** Tells what the step asks for from what it asked for before under its key; of blocks that record their outcome. */
  readonly argumentsDigest?: string;
  /**
   * What the attempts of the step have in common with each other and, unlike the key, with nothing else: a reset or another round of a
   * `try` has one of its own. Absent in flows from before there was one.
   */
  readonly execution?: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** It runs in place, as a local activity; absent: it came through its task queue. */
  readonly local?: LocalAttempt;
  /** The author's word that doing it twice is harmless (`metadata.idempotent`), or the block's own. */
  readonly idempotent: boolean;
  /** Temporal's run of the workflow that the step is of. */
  readonly runId: string;
  /** As the step brought it, before it was verified (docs/identity.md). */
  readonly grant?: string;
  /** Whom the flow runs for, as its grant says; absent where nobody is checked. */
  readonly subject?: string;
  /** Scopes of the token that started the flow; absent: it does not narrow the tenant's. */
  readonly tokenScopes?: readonly string[];
  /** What the step may do; absent: the worker has no policy, and everything is allowed. */
  readonly access?: Access;
  /** Heap of the process that runs the block, MiB, where its tenant may have less than the worker gives. */
  readonly memoryMb?: number;
  /** What its flow was told when it asked for the step before; absent: the flow cannot wait. */
  readonly claim?: QuotaClaim;
  /** The attempt's span; absent: it is not traced. */
  readonly trace?: SpanContext;
  /** Of a step that is only tried. */
  readonly dryRun?: DryStep;
}

/** What a block may use of the world. Real ones are composed in src/worker; the sandbox passes its own. */
export interface Ports {
  readonly http: HttpClient;
  readonly blobs: BlobStore;
  readonly databases: SqlDatabases;
}

/** What a block is given beside its arguments. */
export interface BlockContext {
  readonly step: StepIdentity;
  readonly ports: Ports;
  /** Aborted when the step is cancelled, its time is up or the worker shuts down: stop, clean up, throw `signal.reason`. */
  readonly signal: AbortSignal;
  /** When the attempt's time is up, in milliseconds since 1970. */
  readonly deadline: number;
  /** Asked right before the block begins an effect. */
  readonly fence: Fence;
  /** Reports progress; cancellation arrives through it. Cheap: may be called often. */
  heartbeat(details: Json): void;
  /** What the attempt before reported last, if there was one. */
  readonly lastHeartbeat: Json | undefined;
  /** Keeps a credential that the block got on its way, such as a token, out of the step's output, errors and heartbeats. */
  conceal?(credential: string): void;
}

/**
 * Runs a block once. Arguments have been checked against the block's schema.
 * Throws {@link FlowError}; wrap it in `retryable` or `notRetryable` (block-failure.ts) to say whether another attempt may help.
 */
export type BlockExecutor = (args: JsonObject, context: BlockContext) => Promise<Json>;
