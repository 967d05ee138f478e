import type { MockAnswer } from '../../dsl/dry-run/mock';
import { type AnswerSource, answersFrom, type MockTable } from '../../dsl/dry-run/mock-table';
import { mockIn } from '../../dsl/dry-run/rounds';
import type { TaskPlan } from '../../dsl/planning/plan';
import type { TaskScope } from '../scope';
import type { RehearsalState } from './rehearsal-state';

/** What of the state of a dry run is of its answers. */
type AnswersState = Pick<RehearsalState, 'attempts' | 'usedMocks'>;

/** What the steps of a dry run are answered by mocks: which is next, and which were asked for. */
export class MockedAnswers {
  readonly #attempts: Map<string, number>;
  readonly #used: Set<string>;

  constructor(
    private readonly mocks: MockTable,
    state: AnswersState | undefined,
  ) {
    this.#attempts = new Map(Object.entries(state?.attempts ?? {}));
    this.#used = new Set(state?.usedMocks);
  }

  /** Paths of the steps that asked for a mock of the start. */
  get used(): ReadonlySet<string> {
    return this.#used;
  }

  /** The mock of a task in its round, as far as it answers the task as a whole; the request's comes first. */
  mockOf(task: TaskPlan, scope: TaskScope): MockTable[string] | undefined {
    const mock = this.entryOf(task, scope);
    return mock === undefined || mock.answers.length === 0 ? undefined : mock;
  }

  sourceOf(task: TaskPlan, scope: TaskScope): AnswerSource {
    return this.mockOf(task, scope)?.source ?? 'generated';
  }

  /** The next answer to a task that is no activity; undefined: it has no mock. */
  nextAnswer(task: TaskPlan, scope: TaskScope): MockAnswer | undefined {
    const mock = this.mockOf(task, scope);
    if (mock === undefined) return undefined;
    const [answer] = answersFrom(mock.answers, this.attemptsOf(task, scope));
    this.addAttempts(task, scope, 1);
    return answer;
  }

  /** The answer that it was given last. */
  lastAnswer(task: TaskPlan, scope: TaskScope): MockAnswer | undefined {
    return answersFrom(this.mockOf(task, scope)?.answers ?? [], Math.max(0, this.attemptsOf(task, scope) - 1))[0];
  }

  /** Attempts of a task that were made. */
  addAttempts(task: TaskPlan, scope: TaskScope, count: number): void {
    // Of others nobody asks.
    if ((this.mockOf(task, scope)?.answers.length ?? 0) < 2) return;
    this.#attempts.set(keyOf(task, scope), this.attemptsOf(task, scope) + count);
  }

  /** All that is mocked of a task in its round. */
  entryOf({ path }: TaskPlan, { iteration }: TaskScope): MockTable[string] | undefined {
    const mock = Object.hasOwn(this.mocks, path) ? this.mocks[path] : undefined;
    if (mock?.source === 'request') this.#used.add(path);
    return mock?.rounds === undefined ? mock : { ...mockIn(mock, iteration), source: mock.source };
  }

  /** Attempts that were made of a task that has several answers; of others nobody counts them. */
  attemptsOf(task: TaskPlan, scope: TaskScope): number {
    return this.#attempts.get(keyOf(task, scope)) ?? 0;
  }

  /** Attempts of the steps in some rounds of a loop. */
  attemptsIn(
    { path }: TaskPlan,
    { iteration, from, to }: { iteration: string; from: number; to: number },
  ): AnswersState['attempts'] {
    const before = iteration === '' ? '' : `${iteration}.`;
    const isInLoop = (key: string): boolean => {
      // A name may have blanks.
      const end = key.lastIndexOf(' ');
      const [step, round] = [key.slice(0, end), key.slice(end + 1)];
      const index = Number.parseInt(round.slice(before.length), 10);
      return step.startsWith(`${path}/`) && round.startsWith(before) && index >= from && index < to;
    };
    return Object.fromEntries([...this.#attempts].filter(([key]) => isInLoop(key)));
  }

  /** What was asked for in a batch of a loop, which ran in a workflow of its own. */
  take({ attempts, usedMocks = [] }: AnswersState): void {
    for (const [key, count] of Object.entries(attempts))
      this.#attempts.set(key, Math.max(count, this.#attempts.get(key) ?? 0));
    for (const path of usedMocks) this.#used.add(path);
  }

  state(): AnswersState {
    return {
      attempts: Object.fromEntries(this.#attempts),
      ...(this.#used.size === 0 ? {} : { usedMocks: [...this.#used] }),
    };
  }
}

/** Retries go on through a list of answers; another iteration begins anew. */
function keyOf({ path }: TaskPlan, { iteration }: TaskScope): string {
  return `${path} ${iteration}`;
}
