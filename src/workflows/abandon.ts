import { tellCancelled } from './dead-letter-news';
import type { Routine } from './drive';
import type { FlowRun } from './flow-run';
import type { TrackedStep } from './progress-tracker';
import { leaveQuotaLine } from './quota/leave-line';
import type { BranchCursor, Cursor, ListCursor, ParkedStep, TaskCursor } from './suspension';
import { endListening } from './tasks/listen-task';

/** Parts of the flow that stand still and will not go on. */
export interface Abandoned {
  readonly cursors: readonly AnyCursor[];
  readonly steps: readonly TrackedStep[];
}

type AnyCursor = Cursor | ListCursor | TaskCursor | BranchCursor | { readonly list: ListCursor };

/**
 * Ends what is suspended beside something that ends all of it, such as a branch that failed: it would have gone on in the
 * next run of the flow, and has no code running that could clean up after it. Ends subscriptions, gives back events,
 * leaves lines, takes dead letters away and tells of them.
 */
export function* abandon(run: FlowRun, { cursors, steps }: Abandoned): Routine<void> {
  for (const step of steps) step.end('cancelled');
  for (const { listener, parked } of cursors.flatMap(leavesOf)) {
    if (parked !== undefined) {
      run.letters.forget(parked.letter.id);
      run.status.deadLetterEnds();
    }
    if (listener !== undefined) yield* endListening(run, run.inbox.reopen(listener));
    if (parked !== undefined) yield* tellCancelled(run, parked.letter);
  }
  yield* leaveQuotaLine(
    run,
    cursors.flatMap(leavesOf).flatMap(({ ticket }) => ticket ?? []),
  );
}

/** Every place of a cursor that has another cursor; all else in it is the flow's data. */
interface Inner {
  readonly listener?: string | undefined;
  readonly ticket?: string | undefined;
  readonly parked?: ParkedStep | undefined;
  readonly task?: TaskCursor;
  readonly at?: Cursor;
  readonly list?: ListCursor;
  readonly current?: { readonly list: ListCursor };
  readonly begun?: readonly { readonly list: ListCursor }[];
  readonly branches?: readonly BranchCursor[];
}

/** What there is to clean up: of a step that listens, of one that waits for a quota, and of a dead letter. */
function leavesOf(cursor: AnyCursor): Pick<Inner, 'listener' | 'ticket' | 'parked'>[] {
  const { listener, ticket, parked, task, at, list, current, begun = [], branches = [] } = cursor as Inner;
  const inner = [task, at, list, current, ...begun, ...branches].filter((part) => part !== undefined);
  const isLeaf = listener !== undefined || ticket !== undefined || parked !== undefined;
  const own = isLeaf ? [{ listener, ticket, parked }] : [];
  return [...own, ...inner.flatMap(leavesOf)];
}
