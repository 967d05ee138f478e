import type { Template } from '../expressions/template';
import type { FlowPlan, ForkPlan, ForPlan, FunctionPlan, ListenPlan, TaskPlan, TryPlan } from '../planning/plan';
import type { FlowGraph, GraphEdge, GraphGroup, GraphItem, NodeKind } from './graph';
import { attributeOf, catchLabel, describe, describeStrategy, durationText, errorOf } from './labels';

/** A way out of a task that leads somewhere yet to be found. */
interface Exit {
  readonly from: string;
  readonly label?: string;
  readonly isDotted?: boolean;
}

/** A way out with the directive that tells where it leads: `continue`, `exit`, `end` or a name. */
type OpenExit = Exit & { readonly next: string };

const BEGIN = 'begin';
const FINISH = 'finish';

/** Where a task begins, and the ways out of it. */
interface Placed {
  readonly entry: string;
  readonly exits: OpenExit[];
}

/** A list of tasks likewise; its ways out all lead to where the list does. */
interface PlacedList {
  readonly entry: string;
  readonly exits: Exit[];
}

/** Draws a plan. Pure: the same plan gives the same graph. */
export function drawFlow(plan: FlowPlan): FlowGraph {
  return new Drawing().draw(plan);
}

class Drawing {
  readonly #edges: GraphEdge[] = [];
  #lastId = 0;
  /** Where a `then: end` leads; absent: to the end of the flow. */
  #ends: Exit[] | undefined;

  draw({ flow, title, timeout, tasks }: FlowPlan): FlowGraph {
    const items: GraphItem[] = [{ id: BEGIN, kind: 'begin', lines: [title ?? flow, ...timeoutLines({ timeout })] }];
    const { entry, exits } = this.#addList(tasks, items);
    this.#connect({ from: BEGIN }, entry);
    for (const exit of exits) this.#connect(exit, FINISH);
    items.push({ id: FINISH, kind: 'finish', lines: ['end'] });
    return { title: flow, items, edges: this.#edges.sort((a, b) => numberOf(a.from) - numberOf(b.from)) };
  }

  /** Adds the tasks of a list and the ways between them; what is left are the ways out of the list. */
  #addList(tasks: readonly TaskPlan[], items: GraphItem[]): PlacedList {
    const placed = tasks.map((task) => ({ name: task.name, ...this.#addTask(task, items) }));
    const exits: Exit[] = [];
    for (const [index, { exits: open }] of placed.entries()) {
      for (const { next, ...exit } of open) {
        const target = next === 'continue' ? placed[index + 1] : placed.find(({ name }) => name === next);
        if (next === 'end') this.#end(exit);
        else if (next === 'exit' || target === undefined) exits.push(exit);
        else this.#connect(exit, target.entry);
      }
    }
    return { entry: placed[0]?.entry ?? FINISH, exits };
  }

  /** Adds what a `then: end` does not leave; the ends in it are ways out of it. */
  #enclosed(tasks: readonly TaskPlan[], items: GraphItem[]): PlacedList {
    const outer = this.#ends;
    const ends: Exit[] = [];
    this.#ends = ends;
    const { entry, exits } = this.#addList(tasks, items);
    this.#ends = outer;
    return { entry, exits: [...exits, ...ends] };
  }

  #addTask(task: TaskPlan, items: GraphItem[]): Placed {
    if (task.if === undefined) return this.#addUndoable(task, items);
    const condition = this.#addNode(items, 'decision', [`if ${task.if}`]);
    const { entry, exits } = this.#addUndoable(task, items);
    this.#connect({ from: condition, label: 'yes' }, entry);
    // A task that is skipped never follows its `then`.
    return { entry: condition, exits: [...exits, { from: condition, label: 'no', next: 'continue' }] };
  }

  /** What undoes a task stands beside it. Nothing of the flow comes after it, so that no way leads out. */
  #addUndoable(task: TaskPlan, items: GraphItem[]): Placed {
    const placed = this.#addBody(task, items);
    if (task.compensate === undefined || task.compensate.tasks.length === 0) return placed;
    const inner: GraphItem[] = [];
    const { entry } = this.#enclosed(task.compensate.tasks, inner);
    this.#addGroup(items, { title: `undo ${task.name}`, items: inner });
    this.#connect({ from: placed.entry, label: 'undo', isDotted: true }, entry);
    return placed;
  }

  #addBody(task: TaskPlan, items: GraphItem[]): Placed {
    const next = task.next ?? 'continue';
    switch (task.kind) {
      case 'call': {
        const pool = task.human === true || task.resources === 'io' ? '' : ` (${task.resources})`;
        return this.#addLeaf(items, task, task.human === true ? 'human' : 'call', [task.block + pool]);
      }
      case 'function':
        return this.#addFunction(task, items, next);
      case 'subflow':
        return this.#addLeaf(items, task, 'call', [`run ${task.flow}${task.await ? '' : ' (not awaited)'}`]);
      case 'set':
        return this.#addLeaf(items, task, 'set', ['set']);
      case 'wait':
        return this.#addLeaf(items, task, 'wait', [`wait ${durationText(task.duration)}`]);
      case 'emit':
        return this.#addLeaf(items, task, 'emit', [`emit ${attributeOf(task.event, 'type') ?? ''}`.trim()]);
      case 'listen':
        return this.#addListen(task, items, next);
      case 'raise': {
        const { entry } = this.#addLeaf(items, task, 'raise', [`raise ${errorOf(task.error)}`]);
        return { entry, exits: [] };
      }
      case 'switch': {
        const { entry } = this.#addLeaf(items, task, 'decision', []);
        return { entry, exits: switchExits(task, entry, next) };
      }
      case 'do': {
        const inner: GraphItem[] = [];
        const { entry, exits } = this.#addList(task.tasks, inner);
        this.#addStepGroup(items, task, { title: `do ${task.name}`, items: inner, showsStep: true });
        return { entry, exits: exits.map((exit) => ({ ...exit, next })) };
      }
      case 'for':
        return this.#addFor(task, items, next);
      case 'fork':
        return this.#addFork(task, items, next);
      case 'try':
        return this.#addTry(task, items, next);
    }
  }

  /** What a function does is known where the plan was made with the catalog at hand. */
  #addFunction(task: FunctionPlan, items: GraphItem[], next: string): Placed {
    if (task.task === undefined) return this.#addLeaf(items, task, 'call', [task.function]);
    const inner: GraphItem[] = [];
    const { entry, exits } = this.#enclosed([task.task], inner);
    this.#addStepGroup(items, task, { title: `call ${task.name}`, items: inner, showsStep: true });
    return { entry, exits: exits.map((exit) => ({ ...exit, next })) };
  }

  #addFor(task: ForPlan, items: GraphItem[], next: string): Placed {
    const inner: GraphItem[] = [];
    const limit = task.while === undefined ? [] : [`while ${task.while}`];
    const sideBySide = task.parallel === undefined ? [] : [`${task.parallel.concurrency} at once`];
    const lines = [`${task.each} in ${describe(task.in)}`, ...limit, ...sideBySide];
    const loop = this.#addNode(inner, 'loop', lines, task.path);
    const { entry, exits } = this.#addList(task.tasks, inner);
    this.#connect({ from: loop, label: 'each' }, entry);
    for (const exit of exits) this.#connect(exit, loop);
    this.#addStepGroup(items, task, { title: `for ${task.name}`, items: inner });
    return { entry: loop, exits: [{ from: loop, label: 'done', next }] };
  }

  /** The list of `foreach` runs for each event, in a loop. */
  #addListen(task: ListenPlan, items: GraphItem[], next: string): Placed {
    const line = describeStrategy(task.to);
    if (task.foreach?.tasks === undefined) return this.#addLeaf(items, task, 'listen', [line]);
    const inner: GraphItem[] = [];
    const listen = this.#addNode(inner, 'listen', [task.name, line], task.path);
    const { entry, exits } = this.#addList(task.foreach.tasks, inner);
    this.#connect({ from: listen, label: `each ${task.foreach.item}` }, entry);
    for (const exit of exits) this.#connect(exit, listen);
    this.#addStepGroup(items, task, { title: `listen ${task.name}`, items: inner });
    return { entry: listen, exits: [{ from: listen, label: 'done', next }] };
  }

  #addFork(task: ForkPlan, items: GraphItem[], next: string): Placed {
    const inner: GraphItem[] = [];
    const fork = this.#addNode(inner, 'fork', ['fork'], task.path);
    const branches = task.branches.map((branch) => this.#addTask(branch, inner));
    const join = this.#addNode(inner, 'join', [task.compete ? 'first' : 'all']);
    for (const { entry, exits } of branches) {
      this.#connect({ from: fork }, entry);
      // Branches have no neighbours: whatever is not the end of the flow is the end of the branch.
      for (const { next: directive, ...exit } of exits) {
        if (directive === 'end') this.#end(exit);
        else this.#connect(exit, join);
      }
    }
    this.#addStepGroup(items, task, { title: `fork ${task.name}`, items: inner });
    return { entry: fork, exits: [{ from: join, next }] };
  }

  #addTry(task: TryPlan, items: GraphItem[], next: string): Placed {
    const { retry, do: handler, next: handled = next } = task.catch;
    const attempts = retry?.maxAttempts === undefined ? '' : `, at most ${retry.maxAttempts} times`;
    const inner: GraphItem[] = [];
    const lines = ['try', ...(retry === undefined ? [] : [`retry ${retry.backoff}${attempts}`])];
    const attempt = this.#addNode(inner, 'try', lines, task.path);
    const { entry, exits } = this.#addList(task.tasks, inner);
    this.#connect({ from: attempt }, entry);
    const open: OpenExit[] = exits.map((exit) => ({ ...exit, next }));
    const caught: Exit = { from: attempt, label: catchLabel(task), isDotted: true };
    if (handler === undefined) {
      open.push({ ...caught, next: handled });
    } else {
      const handling: GraphItem[] = [];
      const list = this.#addList(handler, handling);
      this.#addGroup(inner, { title: `catch ${task.catch.as}`, items: handling });
      this.#connect(caught, list.entry);
      open.push(...list.exits.map((exit) => ({ ...exit, next: handled })));
    }
    this.#addStepGroup(items, task, { title: `try ${task.name}`, items: inner });
    return { entry: attempt, exits: open };
  }

  #addLeaf(items: GraphItem[], task: TaskPlan, kind: NodeKind, lines: readonly string[]): Placed {
    const entry = this.#addNode(items, kind, [task.name, ...lines, ...timeoutLines(task)], task.path);
    return { entry, exits: [{ from: entry, next: task.next ?? 'continue' }] };
  }

  #addNode(items: GraphItem[], kind: NodeKind, lines: readonly string[], step?: string): string {
    this.#lastId += 1;
    const id = `n${this.#lastId}`;
    items.push({ id, kind, lines, ...(step === undefined ? {} : { step }) });
    return id;
  }

  /** The group that a task is. */
  #addStepGroup(items: GraphItem[], task: TaskPlan, group: Omit<GraphGroup, 'id' | 'step'>): void {
    const title = [group.title, ...timeoutLines(task)].join(', ');
    this.#addGroup(items, { ...group, title, step: task.path });
  }

  #addGroup(items: GraphItem[], group: Omit<GraphGroup, 'id'>): void {
    this.#lastId += 1;
    items.push({ id: `g${this.#lastId}`, ...group });
  }

  /** A `then: end`. */
  #end(exit: Exit): void {
    if (this.#ends === undefined) this.#connect(exit, FINISH);
    else this.#ends.push(exit);
  }

  #connect(exit: Exit, to: string): void {
    this.#edges.push({ ...exit, to });
  }
}

function timeoutLines({ timeout }: { readonly timeout?: Template | undefined }): string[] {
  return timeout === undefined ? [] : [`timeout ${durationText(timeout)}`];
}

/** In the order in which the nodes were added, which is the document's. */
function numberOf(id: string): number {
  return id === BEGIN ? 0 : Number(id.slice(1));
}

/** One way for each case; without a case that always holds, the switch's own `then` is the last one. */
function switchExits(task: Extract<TaskPlan, { kind: 'switch' }>, from: string, next: string): OpenExit[] {
  const exits = task.cases.map((item) => ({
    from,
    label: item.when === undefined ? item.name : `${item.name}: ${item.when}`,
    next: item.next,
  }));
  return task.cases.some(({ when }) => when === undefined) ? exits : [...exits, { from, label: 'else', next }];
}
