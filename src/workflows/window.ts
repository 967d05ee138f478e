import type { Json, JsonObject } from '../dsl/json';
import type { ForPlan } from '../dsl/planning/plan';
import type { PreparedFlow } from '../dsl/start';
import type { BegunRehearsal } from './dry-run/rehearsal-state';

/** Start input of `runWindow`: a batch of a loop, and what its iterations may read. Travels in history: add, never change. */
export interface WindowRequest {
  /** Workflow id of the flow: the idempotency keys of steps are made of it. */
  readonly flowId: string;
  /** Its plan is without tasks. */
  readonly prepared: PreparedFlow;
  readonly workflowInput: Json;
  readonly startedAt: number;
  readonly context: Json;
  readonly task: ForPlan;
  readonly items: readonly Json[];
  readonly firstIndex: number;
  readonly concurrency: number;
  readonly tolerated: number;
  /** What each iteration gets. */
  readonly input: Json;
  readonly variables: JsonObject;
  readonly steps: JsonObject;
  readonly iteration: string;
  readonly depth: number;
  /** Of a dry run; absent in live ones, and in histories from before it was passed on. */
  readonly begun?: BegunRehearsal;
}
