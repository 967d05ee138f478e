import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { RUN_FLOW, taskQueueOf } from '../../dsl/names';
import type { FlowProgress } from '../../dsl/progress';
import { DEFAULT_TENANT } from '../../dsl/start';
import { EXAMPLES_FOLDER } from '../../worker/package-files';
import { type ApprovalAddress, decide, readState } from '../approval-client';
import type { Cli } from '../cli';
import { usageError } from '../command-error';
import { printProblems, readFlowFile } from '../flow-file';
import type { FlowOutcome } from '../flow-outcome';
import { type WatchedFlow, watchFlow } from '../flow-watcher';
import { shellWord } from '../output';
import { ProgressPrinter } from '../progress-printer';
import { checkStart, type FlowStart, newWorkflowId, startFlow, startInput } from '../start-flow';
import type { TemporalSession } from '../temporal-session';
import type { DemoStage } from './demo-stage';

const EXAMPLE = 'order-intake.yaml';
const ORDER_ID = '4711';
const DECIDER = 'demo-approver';

/** How long an approval may take to begin once its step says that it waits. */
const APPROVAL_LIMIT_MS = 15_000;
const APPROVAL_PAUSE_MS = 50;

/** The example with its input, checked. */
export async function prepareExample(stage: DemoStage, cli: Cli): Promise<FlowStart> {
  const file = await readFlowFile(join(EXAMPLES_FOLDER, EXAMPLE), cli);
  if (file.flow === undefined) {
    printProblems([file], cli.err);
    throw usageError(`the example ${file.name} is not valid`, { help: 'Restore it, or mend what is listed above.' });
  }
  const input = startInput(file.flow, {
    input: { orderId: ORDER_ID, service: stage.orders.url },
    tenant: DEFAULT_TENANT,
    requestedBy: 'demo',
  });
  await checkStart(input);
  const { flow } = file.plan;
  return { input, flow, workflowId: newWorkflowId(flow), queuePrefix: 'beamline' };
}

/** Runs the example, shows its steps, and approves what waits for approval once it does. */
export async function runExample(
  start: FlowStart,
  { client }: TemporalSession,
  { cli, signal }: { cli: Cli; signal: AbortSignal },
): Promise<FlowOutcome> {
  const flow = await startFlow(client, start);
  const approver = new Approver(flow, cli);
  const printer = new ProgressPrinter(cli.out);
  const observer = {
    onProgress: (progress: FlowProgress) => {
      printer.show(progress);
      approver.look(progress);
    },
    onUnchanged: () => printer.remind(),
    onNotice: (line: string) => cli.err.line(line),
  };
  return Promise.race([watchFlow(flow, observer, signal), approver.failure]);
}

/** Approves each approval of a flow once, as a person would: after it saw it waiting. */
class Approver {
  /** Rejects where a decision failed; else never settles. */
  readonly failure: Promise<never>;
  readonly #seen = new Set<string>();
  #fail: (error: unknown) => void = () => undefined;

  constructor(
    private readonly flow: WatchedFlow,
    private readonly cli: Cli,
  ) {
    this.failure = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
  }

  look({ steps }: FlowProgress): void {
    for (const { status, approval } of steps) {
      if (status !== 'awaitingApproval' || approval === undefined || this.#seen.has(approval)) continue;
      this.#seen.add(approval);
      this.#approve(approval).catch((error: unknown) => this.#fail(error));
    }
  }

  async #approve(id: string): Promise<void> {
    const { client, taskQueue } = this.flow;
    const title = await waitUntilPending(client, { id, taskQueue });
    this.cli.out.line(`    ${DECIDER} reads "${title}" and approves it`);
    await decide(client, { id, taskQueue }, { decision: 'approved', by: DECIDER, comment: 'Looks right.' });
  }
}

/** The title of an approval, once it can be decided on: its workflow begins a moment after its step. */
async function waitUntilPending(client: Client, approval: ApprovalAddress): Promise<string> {
  for (const deadline = Date.now() + APPROVAL_LIMIT_MS; ; ) {
    try {
      return (await readState(client, approval)).title;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError) || Date.now() > deadline) throw error;
      await delay(APPROVAL_PAUSE_MS);
    }
  }
}

/** The command that starts the same flow by hand, with the file that it reads. */
export async function startByHand(
  start: FlowStart,
  { stage, temporal }: { stage: DemoStage; temporal: string },
): Promise<string> {
  const file = join(stage.folder, 'start.json');
  await writeFile(file, JSON.stringify(start.input, undefined, 2));
  const words = ['workflow', 'start', '--type', RUN_FLOW, '--task-queue', taskQueueOf(start.queuePrefix, 'io')];
  const target = [
    '--workflow-id',
    `${start.workflowId}-again`,
    '--address',
    stage.server.address,
    '--input-file',
    file,
  ];
  return [temporal, ...[...words, ...target].map(shellWord)].join(' ');
}
