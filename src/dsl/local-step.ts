import type { ResourceClass } from './block-spec';
import { isSafeMethod } from './http-methods';
import type { Json, JsonObject } from './json';
import type { ReadAhead } from './read-ahead/read-ahead';
import { READING_BLOCKS } from './reading-blocks';
import { RECORDED_BLOCKS } from './recorded-blocks';

/** How steps may be dispatched (`metadata.dispatch`): as an activity of the task queue, or in place. */
export const DISPATCHES = ['queue', 'local'] as const;
export type Dispatching = (typeof DISPATCHES)[number];

/**
 * Longest time of an attempt in place, ms: as long as it runs, its flow hears of no signal and answers no query. What takes longer goes to
 * the task queue.
 */
export const LOCAL_ATTEMPT_MS = 1_000;

/**
 * What keeps a step that runs in place from breaking a promise, should its worker be lost before the history has what it gave. `reads`: it has no
 * effect, so it may be done again. `recorded`: its effect is found again under its key, and gives what it gave.
 */
export type LocalUse = 'reads' | 'recorded';

/** Blocks whose effect is found again under its key: in the ledger, or by what is kept of the blob. */
const FOUND_AGAIN: ReadonlySet<string> = new Set(['fs.put', 'fs.delete', ...RECORDED_BLOCKS]);

/** Blocks some of whose steps may run in place. */
export const LOCAL_BLOCKS: readonly string[] = [...READING_BLOCKS, ...FOUND_AGAIN, 'http.request'];

/** What a step is judged by. */
export interface LocalCandidate {
  readonly block: string;
  readonly resources: ResourceClass;
  readonly idempotent: boolean;
}

/**
 * How a step may run in place; text: why it may not, as it goes on after "a step that". Where `method` is not known yet, an expression, undefined is to
 * be asked again once it is.
 */
export function localUseOf(
  { block, resources, idempotent }: LocalCandidate,
  { method = 'GET' }: JsonObject,
): LocalUse | { readonly refusal: string } {
  if (resources !== 'io')
    return { refusal: `runs in the pool ${resources}; flows, and what runs in place, are on the pool io` };
  if (READING_BLOCKS.has(block)) return 'reads';
  if (block === 'http.request') {
    return isSafe(method)
      ? 'reads'
      : { refusal: 'sends a method that changes something; only in the queue a late attempt is kept from doing so' };
  }
  if (!FOUND_AGAIN.has(block)) return { refusal: `is a ${block}; there are: ${LOCAL_BLOCKS.join(', ')}` };
  if (RECORDED_BLOCKS.has(block) && idempotent)
    return { refusal: 'writes without the ledger, as metadata.idempotent says, and would not be found again' };
  return 'recorded';
}

/** Nobody's word is needed where a promise of `docs/guarantees.md` cannot change: nothing has an effect, and attempts are not counted out. */
export function mayChoose(use: LocalUse, { retry }: { readonly retry: { readonly maximumAttempts: number } }): boolean {
  return use === 'reads' && retry.maximumAttempts !== 1;
}

function isSafe(method: Json): boolean {
  return typeof method === 'string' && isSafeMethod(method);
}

/** What a step's activity is told where it is tried in place. */
export interface LocalAttempt {
  readonly use: LocalUse;
  /** Tells the workflow task: the length of the history that it began with. */
  readonly task: number;
  /** Its author asked for it (`metadata.dispatch: local`); else only where the worker knows it to be quick. */
  readonly isAsked: boolean;
  /**
   * In the same workflow task the flow has heard of a step without an effect, or was told a time: another one might hear something else, and is told
   * another time.
   */
  readonly isUnrecorded: boolean;
  /** The retry policy has no attempt after it. */
  readonly isLast: boolean;
  /** What is left of the time for all attempts, ms; absent: there is no limit. */
  readonly leftMs?: number;
  /** What comes after the step; absent: nothing that could be read ahead. */
  readonly ahead?: ReadAhead;
}

/** What a local activity with an effect outside its flow is asked along with. */
export interface RecordedOnly {
  /** The flow has heard of a step in place in the same workflow task; absent: it has not. */
  readonly isUnrecorded?: boolean;
}

/** Nothing was done: to be asked again once the history has what the flow knows. */
export interface Unrecorded {
  readonly unrecorded: true;
}

/** Why a step that was tried in place goes to the queue. */
export const LOCAL_REFUSALS = ['busy', 'long', 'slow', 'unrecorded', 'failed', 'stopped'] as const;
export type LocalRefusal = (typeof LOCAL_REFUSALS)[number];

/** What an attempt in place gives where the step is to be done through the queue. */
export interface Elsewhere {
  readonly reason: LocalRefusal;
  /** Attempts that were made and failed. */
  readonly attempts: number;
  /** ms that these took. */
  readonly tookMs: number;
  /** Code of the failure, for those who read the history. */
  readonly code?: string;
  /** Pause that the failure asks for, ms; absent: that of the step's retry policy. */
  readonly pauseMs?: number;
}
