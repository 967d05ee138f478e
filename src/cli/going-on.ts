import { FlowError } from '../dsl/errors';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { shellWord } from './output';

/** How commands are to be written that a person can copy. */
export interface CommandWords {
  /** How this command is called. */
  readonly beamline: string;
  /** The flags that say where Temporal is, with a space in front; empty where none are needed. */
  readonly connection: string;
}

/** Commands to look after a flow that nobody follows any more. */
export function followCommands(
  workflowId: string,
  { beamline, connection }: CommandWords,
): { readonly look: string; readonly cancel: string } {
  const id = shellWord(workflowId);
  return {
    look: `${beamline} runs show ${id} --follow${connection}`,
    cancel: `${beamline} runs cancel ${id}${connection}`,
  };
}

/** What ended the following of a flow; where Temporal has gone, with the help that the flow itself goes on. */
export function unfollowed(error: unknown, workflowId: string, words: CommandWords): unknown {
  if (!(error instanceof FlowError) || error.data.code !== 'BLW_TEMPORAL_UNREACHABLE') return error;
  const { look } = followCommands(workflowId, words);
  const help = `The flow ${workflowId} goes on once Temporal and a worker are there: ${look}`;
  return new CommandError(error, EXIT.unreachable, help);
}
