import type { Json, JsonObject } from '../dsl/json';
import { LOCAL_BLOCKS } from '../dsl/local-step';
import { isSameButPlaceholders } from '../dsl/placeholders';
import type { CallPlan, TaskPlan } from '../dsl/planning/plan';
import type { ListAhead, ReadAhead, StepAhead } from '../dsl/read-ahead/read-ahead';
import type { StepResult } from '../dsl/step-request';
import { failureOf } from './failures';
import type { TaskScope } from './scope';
import type { TaskFrame } from './task-frame';

/** Tasks of a list that are told, and items of a loop: as many as a workflow task can use. */
const MAX_TASKS = 32;
const MAX_ITEMS = 64;

/** Lists around each other that are told. */
const MAX_LISTS = 4;

/** Largest JSON that is told, in bytes: it is made and read with each step in place that begins a row of reads. */
const MAX_BYTES = 65_536;

/** Of a value, beside its text. */
const PUNCTUATION = 4;

/** Where a task stands in its list. */
export interface Place {
  readonly tasks: readonly TaskPlan[];
  readonly index: number;
  /** How often tasks of the list have run before, by name. */
  readonly visits: ReadonlyMap<string, number>;
}

/** What a list is run by, where the tasks after that are run once the list has ended well. */
export interface Around {
  readonly frame: TaskFrame;
  /** Of a loop whose iterations run one after the other. */
  readonly loop?: { readonly items: readonly Json[]; readonly index: number };
}

/**
 * What was read ahead for steps that run one after the other. It is taken in the order in which it was read, and nothing else may come between: what
 * a flow reads is never older than what it did before.
 */
export class AheadReads {
  #left: StepAhead[] = [];

  /** `isBeside`: other tasks of the flow run beside these, and may change the context at any time. */
  constructor(readonly isBeside: boolean) {}

  keep(reads: readonly StepAhead[]): void {
    this.#left = [...reads];
  }

  /** The answer to a step that is about to be sent out; undefined: it is to be sent out. */
  take({ path }: CallPlan, iteration: string, args: JsonObject): StepAhead | undefined {
    const next = this.#left.shift();
    if (next === undefined) return undefined;
    if (next.step === path && next.iteration === iteration && isSameButPlaceholders(next.with, args)) return next;
    this.drop();
    return undefined;
  }

  /** Something else happens first. */
  drop(): void {
    this.#left = [];
  }
}

/** What the step would have been answered. Throws the failure that it would have ended with. */
export function answerOf(read: StepAhead): StepResult {
  if ('result' in read) return read.result;
  throw failureOf(read.failure);
}

/** Tasks as they are told, made once in a run. */
export class ToldTasks {
  readonly #texts = new WeakMap<TaskPlan, string>();
  readonly #rests = new WeakMap<TaskPlan, string>();

  textOf(task: TaskPlan): string {
    let text = this.#texts.get(task);
    if (text === undefined) {
      text = JSON.stringify(task);
      this.#texts.set(task, text);
    }
    return text;
  }

  /** Of a task that runs, what is still to be evaluated. */
  restOf(task: TaskPlan): string {
    let text = this.#rests.get(task);
    if (text === undefined) {
      const { output, export: exported } = task;
      const loop = task.kind === 'for' ? { while: task.while, tasks: task.tasks } : {};
      text = JSON.stringify({ output, exported, ...loop });
      this.#rests.set(task, text);
    }
    return text;
  }
}

/** What a step's worker is told of what comes after it; undefined: nothing that could be read ahead. `attemptMs`: longest time of the step. */
export function aheadOf(task: CallPlan, frame: TaskFrame, attemptMs: number): ReadAhead | undefined {
  const { run, scope } = frame;
  const { reads } = scope;
  // The spans of steps have numbers that only the flow gives, and so have those with a place of their own in their tenant's line.
  if (reads === undefined || run.prepared.trace?.sampled === true || task.priorityKey !== undefined) return undefined;
  const lists = listsAround(frame);
  if (lists === undefined) return undefined;
  const texts = lists.flatMap(({ tasks }) => tasks.map((one) => run.told.textOf(one)));
  const open = lists.flatMap(({ tasks: [first, ...rest] }) => [
    ...(first === undefined ? [] : [run.told.restOf(first)]),
    ...rest.map((one) => run.told.textOf(one)),
  ]);
  const isNamed = (name: string): boolean => open.some((text) => text.includes(name));
  // When the flow hears of this step and when of another branch may differ in a replay: what it makes of the answers may not.
  if (reads.isBeside && isNamed('context')) return undefined;
  const constants: JsonObject = {};
  for (const [name, value] of Object.entries(run.constants)) if (isNamed(name)) constants[name] = value as Json;
  const values: Omit<ReadAhead, 'lists'> = {
    constants,
    context: isNamed('context') ? run.context : null,
    flowId: run.id,
    attemptMs,
    stepOutputs: run.plan.stepOutputs,
    ...(run.plan.language === undefined ? {} : { language: run.plan.language }),
    ...(reads.isBeside ? { isBeside: true as const } : {}),
  };
  const told = isNamed('steps') ? lists : lists.map((list) => ({ ...list, steps: {} }));
  const left = texts.reduce((bytes, text) => bytes - text.length, MAX_BYTES);
  const data = told.map(({ tasks: _, ...list }) => list);
  return left > 0 && isWithin([values, data] as unknown as Json, left) ? { ...values, lists: told } : undefined;
}

/** The lists that a step is in, from inside out, as far as reads may follow in them; undefined where there is none. */
function listsAround({ scope, input }: TaskFrame): readonly ListAhead[] | undefined {
  const lists: ListAhead[] = [];
  let hasReads = false;
  let at: { readonly scope: TaskScope; readonly input: Json } = { scope, input };
  let around: Around | undefined;
  while (lists.length < MAX_LISTS && at.scope.here !== undefined) {
    const list = listOf(at.scope.here, at, around);
    const prospect = prospectOf(list);
    if (prospect === 'none') break;
    lists.push(list);
    hasReads ||= prospect === 'reads';
    around = at.scope.around;
    if (around === undefined || list.isCut === true) break;
    at = around.frame;
  }
  return hasReads ? lists : undefined;
}

function listOf(
  { tasks, index, visits }: Place,
  { scope: { variables, steps, iteration }, input }: { readonly scope: TaskScope; readonly input: Json },
  around: Around | undefined,
): ListAhead {
  const { loop } = around ?? {};
  const from = loop === undefined ? 0 : loop.index + 1;
  const ahead = tasks.slice(index, index + MAX_TASKS);
  // A further visit has a number of its own.
  const again = ahead.findIndex(({ name }, at) => at > 0 && visits.has(name));
  const told = again === -1 ? ahead : ahead.slice(0, again);
  const isLoopCut = loop !== undefined && loop.items.length > from + MAX_ITEMS ? { isCut: true as const } : {};
  return {
    tasks: told,
    ...(told.length < tasks.length - index ? { isCut: true as const } : {}),
    input,
    variables,
    steps,
    iteration,
    ...(loop === undefined ? {} : { loop: { items: loop.items.slice(from, from + MAX_ITEMS), from, ...isLoopCut } }),
  };
}

/** What may come after the first task of a list, as far as kinds tell: a read, nothing that matters, or what ends foresight at once. */
function prospectOf({ tasks: [first, ...rest], loop }: ListAhead): 'reads' | 'through' | 'none' {
  if (first?.kind === 'for' && loop !== undefined && loop.items.length > 0) return 'reads';
  for (const task of rest) {
    if (mayRead(task)) return 'reads';
    if (task.if === undefined && task.kind !== 'set' && task.kind !== 'switch' && !holdsTasks(task)) return 'none';
  }
  return 'through';
}

function holdsTasks(task: TaskPlan): task is Extract<TaskPlan, { readonly kind: 'do' | 'for' | 'try' }> {
  return task.kind === 'do' || task.kind === 'for' || task.kind === 'try';
}

function mayRead(task: TaskPlan): boolean {
  if (holdsTasks(task)) return task.tasks.some(mayRead);
  return task.kind === 'call' && task.dispatch !== 'queue' && LOCAL_BLOCKS.includes(task.block);
}

/** Whether a value has about so many bytes of JSON at most: looks at no more than that. */
function isWithin(value: Json, bytes: number): boolean {
  let left = bytes;
  const open: Json[] = [value];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (typeof one === 'string') left -= one.length;
    left -= PUNCTUATION;
    if (left < 0) return false;
    if (typeof one !== 'object' || one === null) continue;
    if (Array.isArray(one)) {
      if (one.length > left) return false;
      open.push(...one);
    } else {
      for (const [key, inner] of Object.entries(one)) {
        left -= key.length;
        open.push(inner);
      }
    }
  }
  return true;
}
