import { flowError } from '../../dsl/errors';
import { CommandError } from '../command-error';
import { EXIT } from '../exit-codes';

/** Why a flow cannot be redriven; scripts may rely on the words. */
export type RefusalReason =
  /** It runs, or some part of it is still ending. */
  | 'running'
  | 'completed'
  | 'cancelled'
  | 'terminated'
  | 'timedOut'
  /** Its compensations ran. */
  | 'undone'
  /** The run that is meant has a run after it. */
  | 'redriven'
  /** It belongs to a flow that waits, or waited, for it. */
  | 'part'
  /** Not a workflow of the type `runFlow`. */
  | 'notAFlow'
  /** It is a dry run, which did nothing. */
  | 'dryRun'
  /** It failed by itself: what it computed would be the same again. */
  | 'noStep'
  /** A step listened beside the failed one, since before the flow continued as new: nobody can subscribe it again. */
  | 'listens'
  /** Something would be sent again that may have been done, and that only the receiver can keep from being done twice. */
  | 'unknownOutcome'
  /** Its data cannot be read without keys or blobs. */
  | 'unreadable';

/** A flow that is not redriven, and what to do instead. */
export class Refusal extends CommandError {
  constructor(
    readonly reason: RefusalReason,
    detail: string,
    help: string,
  ) {
    super(flowError('BLW_REDRIVE_REFUSED', detail, { data: { reason } }), EXIT.failed, help);
  }
}

/** A flow, or a part of one, that would have to have ended. */
export function stillRunning(workflowId: string): Refusal {
  return new Refusal(
    'running',
    `"${workflowId}" runs`,
    'Only flows that failed are redriven; wait until it has ended.',
  );
}

/** A flow whose data needs keys or blobs that are not here. */
export function unreadable(workflowId: string, why: string): Refusal {
  return new Refusal(
    'unreadable',
    `"${workflowId}": ${why}`,
    'Name the keys and the blob root of the workers with --encryption-keys and --blob-root.',
  );
}
