import { formatDuration } from '../durations';
import type { FlowPlan } from '../planning/plan';
import type { FlowProgress, StepProgress } from '../progress';
import { drawFlow } from './flow-graph';
import type { FlowGraph, GraphGroup, GraphItem, GraphNode, GraphState } from './graph';
import { type Moment, type StepSummary, summarizeStep } from './step-status';

/** How a run is, in Temporal's words. */
export type RunStatus = 'Running' | 'Completed' | 'Failed' | 'Cancelled' | 'Terminated' | 'TimedOut' | 'ContinuedAsNew';

/** What is known of a run. Times are milliseconds since 1970. */
export interface ObservedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: RunStatus;
  readonly progress: FlowProgress;
  /** Now, or when the run ended. */
  readonly until: number;
  /** Code of the error that it ended with. */
  readonly code?: string;
}

const WINDOW = 'window';

const RUN_STATES: Readonly<Record<RunStatus, { readonly word: string; readonly state: GraphState }>> = {
  Running: { word: 'running', state: 'running' },
  Completed: { word: 'completed', state: 'completed' },
  Failed: { word: 'failed', state: 'failed' },
  Cancelled: { word: 'cancelled', state: 'cancelled' },
  Terminated: { word: 'terminated', state: 'failed' },
  TimedOut: { word: 'timed out', state: 'failed' },
  ContinuedAsNew: { word: 'goes on in a new run', state: 'running' },
};

/** What of `BeamlineStatus` says more than that a run runs. */
const RUNNING_WORDS: Readonly<Record<string, string>> = {
  AwaitingApproval: 'awaiting approval',
  Compensating: 'undoing its steps',
  DeadLettered: 'has dead letters',
};

/** Child workflows that are named in the comments. */
const NAMED_CHILDREN = 50;

/** Draws a plan with how far a run is. Pure: the same plan and run give the same graph. */
export function drawRun(plan: FlowPlan, run: ObservedRun): FlowGraph {
  const graph = drawFlow(plan);
  const painter = new Painter(run);
  const items = graph.items.map((item) => painter.paint(item));
  return { ...graph, items: [...items, ...painter.legend()], comments: commentsOf(run) };
}

class Painter {
  readonly #run: ObservedRun;
  readonly #moment: Moment;
  readonly #steps: ReadonlyMap<string, readonly StepProgress[]>;
  /** Executions that the answer does not have any more. */
  readonly #missing: number;

  constructor(run: ObservedRun) {
    const { status, progress, until } = run;
    this.#run = run;
    this.#moment =
      status === 'Running' ? { until } : { until, unended: status === 'Completed' ? 'completed' : 'stopped' };
    this.#steps = byId(progress.steps);
    this.#missing = Math.max(0, progress.stepsStarted - progress.steps.length);
  }

  paint(item: GraphItem, isInBatches = false): GraphItem {
    return 'kind' in item ? this.#paintNode(item, isInBatches) : this.#paintGroup(item, isInBatches);
  }

  /** Where the picture has less than the run did, it says so. */
  legend(): GraphNode[] {
    if (this.#missing === 0) return [];
    const { stepsStarted, steps } = this.#run.progress;
    const lines = [
      'Partial picture',
      `it counts the newest ${steps.length} of ${stepsStarted} executions`,
      'steps with no record may have run before',
    ];
    return [{ id: 'legend', kind: 'legend', lines, state: 'unknown' }];
  }

  #paintNode(node: GraphNode, isInBatches: boolean): GraphNode {
    if (node.kind === 'begin') return this.#paintBegin(node);
    if (node.kind === 'finish') return this.#run.status === 'Completed' ? { ...node, state: 'completed' } : node;
    if (node.step === undefined) return node;
    const { state, lines } = this.#summary(node.step, isInBatches);
    return { ...node, state, lines: [...node.lines, ...lines] };
  }

  #paintGroup(group: GraphGroup, isInBatches: boolean): GraphGroup {
    const hasBatches = group.step !== undefined && this.#hasBatches(group.step);
    const items = group.items.map((item) => this.paint(item, isInBatches || hasBatches));
    if (group.step === undefined) return { ...group, items };
    const { state, lines } = this.#summary(group.step, isInBatches);
    return { ...group, items, state, ...(group.showsStep === true ? { status: lines.join(', ') } : {}) };
  }

  #paintBegin(node: GraphNode): GraphNode {
    const { status, progress, until, code } = this.#run;
    const { word, state } = RUN_STATES[status];
    const said = status === 'Running' ? (RUNNING_WORDS[progress.status] ?? word) : word;
    const line = [said, ...(code === undefined ? [] : [code])].join(' ');
    const duration = formatDuration(Math.max(0, until - progress.startedAt));
    return { ...node, state, lines: [...node.lines, `${line}, ${duration}`] };
  }

  #summary(step: string, isInBatches: boolean): StepSummary {
    const executions = this.#steps.get(step) ?? [];
    const own = executions.filter(({ block }) => block !== WINDOW);
    const batches = executions.filter(({ block }) => block === WINDOW);
    const summary = own.length === 0 ? this.#unseen(isInBatches) : summarizeStep(own, this.#moment);
    if (batches.length === 0) return summary;
    const [line] = summarizeStep(batches, this.#moment).lines;
    return { ...summary, lines: [...summary.lines, `batches: ${line}`] };
  }

  #unseen(isInBatches: boolean): StepSummary {
    if (isInBatches) return { state: 'unknown', lines: ['runs in batches'] };
    return this.#missing > 0
      ? { state: 'unknown', lines: ['no record'] }
      : { state: 'notReached', lines: ['not reached'] };
  }

  #hasBatches(step: string): boolean {
    return (this.#steps.get(step) ?? []).some(({ block }) => block === WINDOW);
  }
}

function byId(steps: readonly StepProgress[]): Map<string, StepProgress[]> {
  const found = new Map<string, StepProgress[]>();
  for (const step of [...steps].sort((a, b) => a.seq - b.seq)) {
    const executions = found.get(step.id);
    if (executions === undefined) found.set(step.id, [step]);
    else executions.push(step);
  }
  return found;
}

/** Which run it is, and the workflows that its steps run, each of which can be looked at likewise. */
function commentsOf({ workflowId, runId, progress }: ObservedRun): string[] {
  const children = progress.steps.flatMap(({ id, iteration, child, approval }) => {
    const workflow = child ?? approval;
    return workflow === undefined ? [] : [`${id}${iteration === undefined ? '' : ` ${iteration}`} runs ${workflow}`];
  });
  const left = children.length - NAMED_CHILDREN;
  return [
    `workflow ${workflowId}`,
    `run ${runId}`,
    ...children.slice(-NAMED_CHILDREN),
    ...(left > 0 ? [`and ${left} more workflows`] : []),
  ];
}
