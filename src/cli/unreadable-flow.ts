import type { WorkflowExecutionStatusName } from '@temporalio/client';
import { FlowError, flowErrorToJson } from '../dsl/errors';
import type { Cli } from './cli';
import { beamlineCommand } from './command-name';
import { type ConnectionFlags, keysFileOf, repeatFlags } from './connection-flags';
import { EXIT, type ExitCode } from './exit-codes';
import type { FlowOutcome } from './flow-outcome';
import type { WatchedFlow } from './flow-watcher';
import { printable, shellWord } from './output';

/** How Temporal says that a flow has ended, and what that is in words. */
const ENDS: Readonly<Partial<Record<WorkflowExecutionStatusName, readonly [FlowOutcome['status'], string]>>> = {
  COMPLETED: ['Completed', 'has completed, but its output'],
  FAILED: ['Failed', 'has failed, but why'],
  CANCELLED: ['Cancelled', 'was cancelled, but the rest'],
  TERMINATED: ['Terminated', 'was terminated, but the rest'],
  TIMED_OUT: ['TimedOut', 'took longer than the timeout that it was started with, but the rest'],
};

/** Where a codec server listens unless it is told otherwise. */
const CODEC_ADDRESS = 'http://127.0.0.1:8081';

/** The error of a payload that cannot be read here, since its key is missing or another one; undefined for any other error. */
export function unreadableError(error: unknown): FlowError | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (!(current instanceof FlowError)) continue;
    const { code } = current.data;
    if (code === 'BLW_PAYLOAD_KEY' || code === 'BLW_PAYLOAD_DENIED') return current;
  }
  return undefined;
}

/** Where a command says what it cannot read. */
interface Told {
  readonly flags: ConnectionFlags & { readonly json?: boolean };
  readonly cli: Cli;
}

/** Says that the workers encrypt and this command has not the key: the flow does not mind. */
export function tellUnreadable({ message }: FlowError, { workflowId }: WatchedFlow, { flags, cli }: Told): void {
  const wasEncrypted = keysFileOf(flags, cli) !== undefined;
  const input = wasEncrypted ? '' : ', and its input was sent as it is, without encryption';
  cli.err.line(
    cli.err.style.yellow(`the flow runs, but its steps cannot be shown here${input}: ${printable(message)}`),
  );
  const show = `graph --run ${shellWord(workflowId)}${where(flags)} --encryption-keys FILE`;
  cli.err.line(`  with the key:  ${beamlineCommand(cli.cwd)} ${show}`);
}

/**
 * Says how a flow ended whose outcome was answered with `thrown`: Temporal knows without the key. The exit code is that of this end.
 * Throws `thrown` where it is another error, or the flow has not ended.
 */
export async function tellUnreadableEnd(thrown: unknown, flow: WatchedFlow, { flags, cli }: Told): Promise<ExitCode> {
  const { client, workflowId, runId } = flow;
  const reason = unreadableError(thrown);
  if (reason === undefined) throw thrown;
  const description = await client.workflow.getHandle(workflowId).describe();
  const [status, words] = ENDS[description.status.name] ?? [];
  if (status === undefined || words === undefined) throw thrown;
  const error = flowErrorToJson(reason.data);
  if (flags.json === true) cli.out.line(JSON.stringify({ workflowId, runId, status, error }));
  const { red, yellow } = cli.err.style;
  const mark = status === 'Completed' ? yellow('warning:') : red('error:');
  cli.err.line(`${mark} the flow ${words} cannot be read here: ${printable(reason.message)} [${reason.data.code}]`);
  const result = `temporal workflow result -w ${shellWord(workflowId)}${where(flags)} --codec-endpoint ${CODEC_ADDRESS}`;
  cli.err.line(`  with the key:  ${beamlineCommand(cli.cwd)} codec-server --encryption-keys FILE`);
  cli.err.line(`  and then:      ${result}`);
  return status === 'Completed' ? EXIT.done : EXIT.failed;
}

/** The flags that say where Temporal is, as they were given. */
function where({ address, namespace }: ConnectionFlags): string {
  return repeatFlags({ ...(address && { address }), ...(namespace && { namespace }) });
}
