import { formatDuration, parseDuration } from '../durations';
import type { Template } from '../expressions/template';
import { isJsonObject } from '../json';
import type { FlowPlan, ForkPlan, ForPlan, ListenPlan, TaskPlan, TryPlan } from '../planning/plan';

/** What a node stands for; how it looks is the renderer's matter. */
export type NodeKind =
  | 'begin'
  | 'finish'
  | 'call'
  | 'human'
  | 'set'
  | 'wait'
  | 'emit'
  | 'listen'
  | 'raise'
  | 'decision'
  | 'loop'
  | 'fork'
  | 'join'
  | 'try';

export interface GraphNode {
  readonly id: string;
  readonly kind: NodeKind;
  /** Lines of the label, as plain text. */
  readonly lines: readonly string[];
}

/** Steps that belong together: the list of a do, for, fork, try or catch. */
export interface GraphGroup {
  readonly id: string;
  readonly title: string;
  readonly items: readonly GraphItem[];
}

export type GraphItem = GraphNode | GraphGroup;

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly label?: string;
  /** The way that an error takes. */
  readonly isDotted?: boolean;
}

/** A flow as a picture: no edge begins or ends at a group. */
export interface FlowGraph {
  readonly title: string;
  readonly items: readonly GraphItem[];
  readonly edges: readonly GraphEdge[];
}

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

/** Draws a plan. Pure: the same plan gives the same graph. */
export function drawFlow(plan: FlowPlan): FlowGraph {
  return new Drawing().draw(plan);
}

class Drawing {
  readonly #edges: GraphEdge[] = [];
  #lastId = 0;

  draw({ flow, title, tasks }: FlowPlan): FlowGraph {
    const items: GraphItem[] = [{ id: BEGIN, kind: 'begin', lines: [title ?? flow] }];
    const { entry, exits } = this.#addList(tasks, items);
    this.#connect({ from: BEGIN }, entry);
    for (const exit of exits) this.#connect(exit, FINISH);
    items.push({ id: FINISH, kind: 'finish', lines: ['end'] });
    return { title: flow, items, edges: this.#edges.sort((a, b) => numberOf(a.from) - numberOf(b.from)) };
  }

  /** Adds the tasks of a list and the ways between them; what is left are the ways out of the list. */
  #addList(tasks: readonly TaskPlan[], items: GraphItem[]): { entry: string; exits: Exit[] } {
    const placed = tasks.map((task) => ({ name: task.name, ...this.#addTask(task, items) }));
    const exits: Exit[] = [];
    for (const [index, { exits: open }] of placed.entries()) {
      for (const { next, ...exit } of open) {
        const target = next === 'continue' ? placed[index + 1] : placed.find(({ name }) => name === next);
        if (next === 'end') this.#connect(exit, FINISH);
        else if (next === 'exit' || target === undefined) exits.push(exit);
        else this.#connect(exit, target.entry);
      }
    }
    return { entry: placed[0]?.entry ?? FINISH, exits };
  }

  #addTask(task: TaskPlan, items: GraphItem[]): { entry: string; exits: OpenExit[] } {
    if (task.if === undefined) return this.#addBody(task, items);
    const condition = this.#addNode(items, 'decision', [`if ${task.if}`]);
    const { entry, exits } = this.#addBody(task, items);
    this.#connect({ from: condition, label: 'yes' }, entry);
    // A task that is skipped never follows its `then`.
    return { entry: condition, exits: [...exits, { from: condition, label: 'no', next: 'continue' }] };
  }

  #addBody(task: TaskPlan, items: GraphItem[]): { entry: string; exits: OpenExit[] } {
    const next = task.next ?? 'continue';
    switch (task.kind) {
      case 'call': {
        const pool = task.human === true || task.resources === 'io' ? '' : ` (${task.resources})`;
        return this.#addLeaf(items, task.human === true ? 'human' : 'call', [task.name, task.block + pool], next);
      }
      case 'function':
        return this.#addLeaf(items, 'call', [task.name, task.function], next);
      case 'subflow':
        return this.#addLeaf(items, 'call', [task.name, `run ${task.flow}${task.await ? '' : ' (not awaited)'}`], next);
      case 'set':
        return this.#addLeaf(items, 'set', [task.name, 'set'], next);
      case 'wait':
        return this.#addLeaf(items, 'wait', [task.name, `wait ${durationText(task.duration)}`], next);
      case 'emit':
        return this.#addLeaf(items, 'emit', [task.name, `emit ${attributeOf(task.event, 'type') ?? ''}`.trim()], next);
      case 'listen':
        return this.#addListen(task, items, next);
      case 'raise':
        return { entry: this.#addNode(items, 'raise', [task.name, `raise ${errorOf(task.error)}`]), exits: [] };
      case 'switch': {
        const entry = this.#addNode(items, 'decision', [task.name]);
        return { entry, exits: switchExits(task, entry, next) };
      }
      case 'do': {
        const inner: GraphItem[] = [];
        const { entry, exits } = this.#addList(task.tasks, inner);
        this.#addGroup(items, `do ${task.name}`, inner);
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

  #addFor(task: ForPlan, items: GraphItem[], next: string): { entry: string; exits: OpenExit[] } {
    const inner: GraphItem[] = [];
    const limit = task.while === undefined ? [] : [`while ${task.while}`];
    const loop = this.#addNode(inner, 'loop', [`${task.each} in ${describe(task.in)}`, ...limit]);
    const { entry, exits } = this.#addList(task.tasks, inner);
    this.#connect({ from: loop, label: 'each' }, entry);
    for (const exit of exits) this.#connect(exit, loop);
    this.#addGroup(items, `for ${task.name}`, inner);
    return { entry: loop, exits: [{ from: loop, label: 'done', next }] };
  }

  /** The list of `foreach` runs for each event, in a loop. */
  #addListen(task: ListenPlan, items: GraphItem[], next: string): { entry: string; exits: OpenExit[] } {
    const lines = [task.name, describeStrategy(task.to)];
    if (task.foreach?.tasks === undefined) return this.#addLeaf(items, 'listen', lines, next);
    const inner: GraphItem[] = [];
    const listen = this.#addNode(inner, 'listen', lines);
    const { entry, exits } = this.#addList(task.foreach.tasks, inner);
    this.#connect({ from: listen, label: `each ${task.foreach.item}` }, entry);
    for (const exit of exits) this.#connect(exit, listen);
    this.#addGroup(items, `listen ${task.name}`, inner);
    return { entry: listen, exits: [{ from: listen, label: 'done', next }] };
  }

  #addFork(task: ForkPlan, items: GraphItem[], next: string): { entry: string; exits: OpenExit[] } {
    const inner: GraphItem[] = [];
    const fork = this.#addNode(inner, 'fork', ['fork']);
    const branches = task.branches.map((branch) => this.#addTask(branch, inner));
    const join = this.#addNode(inner, 'join', [task.compete ? 'first' : 'all']);
    for (const { entry, exits } of branches) {
      this.#connect({ from: fork }, entry);
      // Branches have no neighbours: whatever is not the end of the flow is the end of the branch.
      for (const { next: directive, ...exit } of exits) this.#connect(exit, directive === 'end' ? FINISH : join);
    }
    this.#addGroup(items, `fork ${task.name}`, inner);
    return { entry: fork, exits: [{ from: join, next }] };
  }

  #addTry(task: TryPlan, items: GraphItem[], next: string): { entry: string; exits: OpenExit[] } {
    const { retry, do: handler, next: handled = next } = task.catch;
    const attempts = retry?.maxAttempts === undefined ? '' : `, at most ${retry.maxAttempts} times`;
    const inner: GraphItem[] = [];
    const attempt = this.#addNode(inner, 'try', [
      'try',
      ...(retry === undefined ? [] : [`retry ${retry.backoff}${attempts}`]),
    ]);
    const { entry, exits } = this.#addList(task.tasks, inner);
    this.#connect({ from: attempt }, entry);
    const open: OpenExit[] = exits.map((exit) => ({ ...exit, next }));
    const caught: Exit = { from: attempt, label: catchLabel(task), isDotted: true };
    if (handler === undefined) {
      open.push({ ...caught, next: handled });
    } else {
      const handling: GraphItem[] = [];
      const list = this.#addList(handler, handling);
      this.#addGroup(inner, `catch ${task.catch.as}`, handling);
      this.#connect(caught, list.entry);
      open.push(...list.exits.map((exit) => ({ ...exit, next: handled })));
    }
    this.#addGroup(items, `try ${task.name}`, inner);
    return { entry: attempt, exits: open };
  }

  #addLeaf(
    items: GraphItem[],
    kind: NodeKind,
    lines: readonly string[],
    next: string,
  ): { entry: string; exits: OpenExit[] } {
    const entry = this.#addNode(items, kind, lines);
    return { entry, exits: [{ from: entry, next }] };
  }

  #addNode(items: GraphItem[], kind: NodeKind, lines: readonly string[]): string {
    this.#lastId += 1;
    const id = `n${this.#lastId}`;
    items.push({ id, kind, lines });
    return id;
  }

  #addGroup(items: GraphItem[], title: string, inner: readonly GraphItem[]): void {
    this.#lastId += 1;
    items.push({ id: `g${this.#lastId}`, title, items: inner });
  }

  #connect(exit: Exit, to: string): void {
    this.#edges.push({ ...exit, to });
  }
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

function catchLabel({ catch: clause }: TryPlan): string {
  const filter = clause.errorsWith ?? {};
  const parts = Object.entries(filter).map(
    ([key, value]) => `${key} ${typeof value === 'string' ? lastSegment(value) : JSON.stringify(value)}`,
  );
  if (clause.when !== undefined) parts.push(`when ${clause.when}`);
  if (clause.exceptWhen !== undefined) parts.push(`unless ${clause.exceptWhen}`);
  return ['catch', ...parts].join(' ');
}

/** The telling end of an error type's URI. */
function lastSegment(text: string): string {
  return text.split('/').at(-1) || text;
}

/** An attribute of an event that is emitted. */
function attributeOf(event: Template, name: string): string | undefined {
  if ('value' in event) return isJsonObject(event.value) ? String(event.value[name] ?? '') : undefined;
  const template = 'map' in event ? event.map.find(([key]) => key === name)?.[1] : undefined;
  return template === undefined ? undefined : describe(template);
}

/** `one order.placed`, `all 2 events`, `any event`. */
function describeStrategy({ kind, filters }: ListenPlan['to']): string {
  const [only] = filters;
  if (only === undefined) return 'listen to any event';
  const type = only.literal.type ?? only.literal.source;
  return filters.length === 1 && type !== undefined
    ? `listen to ${String(type)}`
    : `listen to ${kind} of ${filters.length}`;
}

function errorOf(error: Template): string {
  const field = (name: string) => ('map' in error ? error.map.find(([key]) => key === name)?.[1] : undefined);
  if ('value' in error && typeof error.value === 'object' && error.value !== null && !Array.isArray(error.value)) {
    const { title, type } = error.value;
    return String(title ?? lastSegment(String(type ?? 'error')));
  }
  const title = field('title') ?? field('type');
  return title === undefined ? 'error' : lastSegment(describe(title));
}

function durationText(duration: Template): string {
  const parsed = 'value' in duration ? parseDuration(duration.value) : undefined;
  return parsed !== undefined && 'ms' in parsed ? formatDuration(parsed.ms) : describe(duration);
}

/** A template as text for people. */
function describe(template: Template): string {
  if ('expr' in template) return template.expr;
  if ('value' in template) return typeof template.value === 'string' ? template.value : JSON.stringify(template.value);
  if ('text' in template)
    return template.text.map((part) => (typeof part === 'string' ? part : `{${part.expr}}`)).join('');
  return '…';
}
