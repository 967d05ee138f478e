import type { Json, JsonObject } from '../src/dsl/json';
import { checkFlow } from './check-flow';
import { checkTask } from './check-task';
import type { Execution } from './execution';
import type { FeatureScenario, FeatureStep } from './features';
import { type Check, parseStep, type Step } from './steps';

/** Runs flows to their end, however that is. */
export interface FlowRunner {
  run(flow: JsonObject, input: Json): Promise<Execution>;
}

/** How a scenario went. */
export interface ScenarioResult {
  readonly scenario: FeatureScenario;
  readonly durationMs: number;
  /** Absent where it passed. */
  readonly failure?: { readonly step?: FeatureStep; readonly reason: string };
}

/**
 * Runs one scenario up to its first step that fails. All steps are read before, so that one that is not known fails the
 * scenario whatever comes before it. Never rejects.
 */
export async function runScenario(scenario: FeatureScenario, runner: FlowRunner): Promise<ScenarioResult> {
  const startedAt = performance.now();
  const failure = await failureOf(scenario, runner);
  const durationMs = performance.now() - startedAt;
  return { scenario, durationMs, ...(failure === undefined ? {} : { failure }) };
}

async function failureOf(scenario: FeatureScenario, runner: FlowRunner): Promise<ScenarioResult['failure']> {
  const steps: (readonly [FeatureStep, Step])[] = [];
  for (const step of scenario.steps) {
    try {
      steps.push([step, parseStep(step)]);
    } catch (error) {
      return { step, reason: reasonOf(error) };
    }
  }
  const actor = new Actor(runner);
  for (const [step, meaning] of steps) {
    try {
      await actor.take(meaning);
    } catch (error) {
      return { step, reason: reasonOf(error) };
    }
  }
  if (actor.checks > 0) return undefined;
  return { reason: 'the scenario asserts nothing, expected at least one step that does' };
}

/** Takes the steps of one scenario. */
class Actor {
  /** Assertions that held. */
  checks = 0;
  #flow: JsonObject | undefined;
  #input: Json = null;
  #execution: Execution | undefined;

  constructor(private readonly runner: FlowRunner) {}

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'definition':
        this.#flow = step.flow;
        return;
      case 'input':
        this.#input = step.input;
        return;
      case 'execute':
        if (this.#flow === undefined) throw new Error('no workflow was defined before this step');
        this.#execution = await this.runner.run(this.#flow, this.#input);
        return;
      case 'check':
        if (this.#execution === undefined) throw new Error('no workflow was executed before this step');
        await verify(step.check, this.#execution);
        this.checks += 1;
    }
  }
}

async function verify(check: Check, execution: Execution): Promise<void> {
  switch (check.kind) {
    case 'flowEnds':
    case 'hasProperties':
    case 'propertyIs':
    case 'itemCount':
      checkFlow(check, execution.outcome);
      break;
    case 'runsFirst':
    case 'runsLast':
    case 'runsBefore':
    case 'taskEnds':
      await checkTask(check, execution);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
