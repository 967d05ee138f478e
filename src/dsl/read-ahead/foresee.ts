import { FlowError } from '../errors';
import {
  type Batch,
  type BatchItem,
  type BatchValues,
  requireObject,
  requireValue,
  type Variables,
} from '../expressions/batch';
import { type Json, type JsonObject, setOwn } from '../json';
import { localUseOf, mayChoose } from '../local-step';
import { placeSecrets } from '../placeholders';
import {
  chosenCase,
  conditionItem,
  definitionItems,
  exportItems,
  ifItems,
  inputItems,
  outputItems,
} from '../planning/definition-items';
import type { CallPlan, ForPlan, TaskPlan } from '../planning/plan';
import type { StepSecrets } from '../secrets';
import { joinIteration } from '../step-request';
import type { ListAhead, ReadAhead } from './read-ahead';

/** A step without an effect that the flow comes to next. */
export interface ForeseenRead {
  readonly task: CallPlan;
  readonly iteration: string;
  readonly values: BatchValues;
  readonly with: JsonObject;
  readonly secrets?: StepSecrets;
}

/** What foreseeing takes. `evaluate` throws BLW_EXPR_FAILED. */
export interface ForesightTools {
  evaluate(batch: Batch): BatchValues;
  uuid(): string;
}

/**
 * The steps without an effect that a flow comes to after one of which the output is known, as long as nothing else has to happen between them: yields each of
 * them, and is given its output. It does what the workflow does (`src/workflows/run-task.ts`) with what can be done at once, and ends before all
 * else. What it gets wrong costs a read for nothing: the workflow takes an answer only for arguments that it has made itself.
 */
export function* foresee(ahead: ReadAhead, output: Json, tools: ForesightTools): Generator<ForeseenRead, void, Json> {
  try {
    yield* new Foresight(ahead, tools).after(output);
  } catch (error) {
    // An expression that fails now fails again in the flow, which says so.
    if (!(error instanceof FlowError || error instanceof Unforeseen)) throw error;
  }
}

/** Here foresight ends. */
class Unforeseen extends Error {}

/** Where a list runs (`TaskScope` of workflows). */
interface ScopeAhead {
  readonly variables: JsonObject;
  readonly steps: JsonObject;
  readonly iteration: string;
}

interface OutcomeAhead {
  readonly output: Json;
  readonly next: string;
}

type Foreseeing<T> = Generator<ForeseenRead, T, Json>;

/** Tasks and iterations that are gone through for one step's reads: the flows of others wait meanwhile. */
const MAX_TASKS = 1_000;

/** Of what reads none. */
const NO_VARIABLES: Variables = { data: null };

class Foresight {
  #context: Json;
  #tasks = 0;
  /** An expression has asked for what only the flow knows, and may have made something of the error. */
  #isLost = false;

  constructor(
    private readonly ahead: ReadAhead,
    private readonly tools: ForesightTools,
  ) {
    this.#context = ahead.context;
  }

  *after(stepOutput: Json): Foreseeing<void> {
    let output = stepOutput;
    for (const list of this.ahead.lists) output = yield* this.#rest(list, output);
  }

  /** The rest of a list, and of the loop that its first task may be, from the output of what runs on. */
  *#rest({ tasks, isCut, input, variables, steps, iteration, loop }: ListAhead, inner: Json): Foreseeing<Json> {
    const scope = { variables, steps: { ...steps }, iteration };
    const [task] = tasks;
    if (task === undefined) throw new Unforeseen();
    let output = inner;
    if (loop !== undefined && task.kind === 'for') {
      output = yield* this.#iterations(task, loop, { input, output, scope });
    }
    const first = this.#outcome(task, { scope, input, output });
    output = yield* this.#list(tasks, input, scope, first);
    if (isCut === true) throw new Unforeseen();
    return output;
  }

  *#list(tasks: readonly TaskPlan[], input: Json, scope: ScopeAhead, first?: OutcomeAhead): Foreseeing<Json> {
    let output = input;
    let known = first;
    let index = 0;
    for (let task = tasks[index]; task !== undefined; task = tasks[index]) {
      const outcome: OutcomeAhead = known ?? (yield* this.#task(task, output, scope));
      known = undefined;
      output = outcome.output;
      if (outcome.next === 'exit') break;
      index = outcome.next === 'continue' ? index + 1 : laterTask(tasks, outcome.next, index);
    }
    return output;
  }

  *#task(task: TaskPlan, rawInput: Json, scope: ScopeAhead): Foreseeing<OutcomeAhead> {
    this.#count();
    if (task.input?.schema !== undefined) throw new Unforeseen();
    const { secrets, variables: named } = placeSecrets(task, this.tools.uuid);
    const about = { name: task.name, reference: task.path, input: rawInput };
    const items = [...ifItems(task), ...inputItems(task), ...definitionItems(task)];
    const values = this.#evaluate(items, () => ({
      ...this.#variables(scope, rawInput),
      task: this.#unknown(about, ['startedAt', 'definition']),
      ...named,
    }));
    if (values.if === false) return { output: rawInput, next: 'continue' };
    const { input = rawInput } = values;
    let result: { readonly output: Json; readonly next?: string | undefined };
    switch (task.kind) {
      case 'call': {
        const args = requireObject(values, 'with');
        if (!mayBeRead(task, args)) throw new Unforeseen();
        const read = { task, iteration: scope.iteration, values, with: args };
        result = { output: yield secrets === undefined ? read : { ...read, secrets } };
        break;
      }
      case 'set':
        result = { output: requireValue(values, 'value') };
        break;
      case 'switch':
        result = { output: input, next: chosenCase(task, values)?.next };
        break;
      case 'do':
      case 'try':
        result = { output: yield* this.#list(task.tasks, input, { ...scope, steps: { ...scope.steps } }) };
        break;
      case 'for': {
        const list = requireValue(values, 'in');
        if (!Array.isArray(list)) throw new Unforeseen();
        result = { output: yield* this.#iterations(task, { items: list, from: 0 }, { input, output: input, scope }) };
        break;
      }
      default:
        throw new Unforeseen();
    }
    return this.#outcome(task, { scope, input, ...result });
  }

  *#iterations(
    task: ForPlan,
    { items, from, isCut }: NonNullable<ListAhead['loop']>,
    { input, output: first, scope }: { input: Json; output: Json; scope: ScopeAhead },
  ): Foreseeing<Json> {
    if (task.parallel !== undefined) throw new Unforeseen();
    let output = first;
    for (const [offset, item] of items.entries()) {
      this.#count();
      const index = from + offset;
      const loop = { [task.each]: item, [task.at]: index };
      if (task.while !== undefined) {
        const items = conditionItem('holds', task.while, 'while');
        const before = output;
        const variables = () => ({
          ...this.#variables(scope, input),
          ...this.#unknownTask(task),
          ...loop,
          data: before,
        });
        if (this.#evaluate(items, variables).holds === false) return output;
      }
      output = yield* this.#list(task.tasks, output, {
        variables: { ...scope.variables, ...loop },
        steps: { ...scope.steps },
        iteration: joinIteration(scope.iteration, String(index)),
      });
    }
    if (isCut === true) throw new Unforeseen();
    return output;
  }

  /** What becomes of a task's raw output, and where to go on. */
  #outcome(
    task: TaskPlan,
    { scope, input, output: raw, next }: { scope: ScopeAhead; input: Json; output: Json; next?: string | undefined },
  ): OutcomeAhead {
    if (task.output?.schema !== undefined || task.export?.schema !== undefined) throw new Unforeseen();
    const items = [...outputItems(task.output), ...exportItems(task.export)];
    const values = this.#evaluate(items, () => ({
      ...this.#variables(scope, input),
      ...this.#unknownTask(task),
      output: raw,
      data: raw,
    }));
    const { output = raw, context = this.#context } = values;
    this.#context = context;
    const { stepOutputs } = this.ahead;
    if (stepOutputs === true || stepOutputs.includes(task.name)) setOwn(scope.steps, task.name, { output });
    const outcome = { output, next: next ?? task.next ?? 'continue' };
    if (outcome.next === 'end') throw new Unforeseen();
    return outcome;
  }

  #variables({ variables, steps }: ScopeAhead, input: Json): Variables {
    const { constants } = this.ahead;
    return { ...variables, ...constants, steps, context: this.#context, input, data: input };
  }

  /** The descriptor of a task of which no more is known here than what stands in the document. */
  #unknownTask({ name, path }: TaskPlan): { readonly task: object } {
    return { task: this.#unknown({ name, reference: path }, ['input', 'output', 'startedAt', 'definition']) };
  }

  /** An object whose further properties are there, and not known. */
  #unknown(known: object, names: readonly string[]): object {
    const get = (): never => {
      this.#isLost = true;
      throw new Unforeseen();
    };
    for (const name of names) Object.defineProperty(known, name, { enumerable: true, get });
    return known;
  }

  /** `variables` are made only where an expression may read them: most values of most steps are constants. */
  #evaluate(items: readonly BatchItem[], variables: () => Variables): BatchValues {
    const isConstant = items.every((item) => 'template' in item && 'value' in item.template);
    const values = this.tools.evaluate({ items, variables: isConstant ? NO_VARIABLES : variables() });
    if (this.#isLost) throw new Unforeseen();
    return values;
  }

  #count(): void {
    this.#tasks += 1;
    if (this.#tasks > MAX_TASKS) throw new Unforeseen();
  }
}

/** Index of a task that stands further on: going back is a visit with a number of its own. */
function laterTask(tasks: readonly TaskPlan[], name: string, from: number): number {
  const index = tasks.findIndex((task, at) => at > from && task.name === name);
  if (index === -1) throw new Unforeseen();
  return index;
}

/** A step that its worker could try in place as it stands. */
function mayBeRead(task: CallPlan, args: JsonObject): boolean {
  const { human, dispatch } = task;
  if (human === true || dispatch === 'queue' || localUseOf(task, args) !== 'reads') return false;
  return dispatch === 'local' || mayChoose('reads', task);
}
