import { FlowError } from '../dsl/errors';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { shellWord } from './output';

/** Commands to look after a flow that nobody follows any more; `connection` has the flags that say where Temporal is. */
export function followCommands(
  workflowId: string,
  connection: string,
): { readonly look: string; readonly cancel: string } {
  const id = `${shellWord(workflowId)}${connection}`;
  return { look: `temporal workflow show --follow -w ${id}`, cancel: `temporal workflow cancel -w ${id}` };
}

/** What ended the following of a flow; where Temporal has gone, with the help that the flow itself goes on. */
export function unfollowed(error: unknown, workflowId: string, connection: string): unknown {
  if (!(error instanceof FlowError) || error.data.code !== 'BLW_TEMPORAL_UNREACHABLE') return error;
  const { look } = followCommands(workflowId, connection);
  const help = `The flow ${workflowId} goes on once Temporal and a worker are there: ${look}`;
  return new CommandError(error, EXIT.unreachable, help);
}
