import { randomUUID } from 'node:crypto';
import { flowError } from '../../dsl/errors';
import type { EmitAnswer, EventAnswer } from '../../dsl/events/bus-messages';
import { type CloudEvent, parseCloudEvent } from '../../dsl/events/cloud-event';
import { DEFAULT_QUEUE_PREFIX, taskQueueOf } from '../../dsl/names';
import { DEFAULT_TENANT } from '../../dsl/start';
import { environmentName } from '../../worker/options';
import type { AddCommand, Cli } from '../cli';
import { CommandError } from '../command-error';
import {
  addConnectionFlags,
  addEncryptionKeysFlag,
  type ConnectionFlags,
  keysOf,
  targetOf,
  warnOfMissingKey,
} from '../connection-flags';
import { emitEvent, sendEvent } from '../event-client';
import { EXIT, type ExitCode } from '../exit-codes';
import { counted } from '../flow-file';
import { readJsonArgument } from '../json-argument';
import { printable } from '../output';
import { withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';

const EXAMPLES = `
Examples:
  $ beamline emit --type com.example.order.placed --source /shop --data '{"orderId": "4711"}'
  $ beamline emit --type reply --source /crm --subject order-4711 --data @reply.json --tenant acme
  $ beamline emit --type reply --source /crm --data '{"ok": true}' --flow order-4711

Without --flow the event goes to every flow of the tenant that listens to such events, and to no other. A flow keeps what is
sent to it with --flow until a step listens. Exit codes: 0 sent; 2 bad usage, or there is no such flow; 3 Temporal cannot
be reached.`;

interface EmitFlags extends ConnectionFlags {
  readonly type: string;
  readonly source: string;
  readonly data?: string;
  readonly id?: string;
  readonly subject?: string;
  readonly tenant?: string;
  readonly flow?: string;
  readonly queuePrefix: string;
  readonly json?: boolean;
}

/** `beamline emit --type … --source …` */
export const addEmit: AddCommand = (command, cli, action) => {
  const queuePrefix = cli.env[environmentName('queue-prefix')] ?? DEFAULT_QUEUE_PREFIX;
  command
    .description('Sends an event (CloudEvents 1.0) to the flows that listen, or to one flow.')
    .requiredOption('--type <TYPE>', 'what happened, e.g. com.example.order.placed')
    .requiredOption('--source <URI>', 'where it happened, e.g. /shop')
    .option('--data <JSON>', 'data of the event: JSON, @FILE, or - for standard input')
    .option('--id <ID>', 'id of the event; one with the same source and id counts once (default: a new one)')
    .option('--subject <TEXT>', 'what it is about')
    .option('--tenant <NAME>', `owner of the flows that listen (default: ${DEFAULT_TENANT}, with --flow that flow's)`)
    .option('--flow <ID>', 'workflow id of the one flow that it is for')
    .option(
      '--queue-prefix <NAME>',
      `the tenant's event bus runs on NAME-io (env: ${environmentName('queue-prefix')})`,
      queuePrefix,
    )
    .option('--json', 'print the answer as one JSON object');
  addEncryptionKeysFlag(addConnectionFlags(command))
    .addHelpText('after', EXAMPLES)
    .action(action((flags: EmitFlags) => emit(flags, cli)));
};

async function emit(flags: EmitFlags, cli: Cli): Promise<ExitCode> {
  const { flow, queuePrefix } = flags;
  checkTenantFlag(flags.tenant);
  // A flow that is named says itself whose it is.
  const tenant = flags.tenant ?? (flow === undefined ? DEFAULT_TENANT : undefined);
  const event = await readEvent(flags, cli);
  const keys = keysOf(flags, cli);
  const onTenant = (owner: string) => warnOfMissingKey(keys, owner, cli);
  const target = { ...targetOf(flags), keys, ...(flow === undefined ? { tenant } : {}) };
  const answer = await withTemporal(target, async ({ client }) => {
    if (flow !== undefined) return sendEvent(client, event, { flowId: flow, tenant, onTenant });
    const owner = tenant ?? DEFAULT_TENANT;
    onTenant(owner);
    return emitEvent(client, event, { tenant: owner, taskQueue: taskQueueOf(queuePrefix, 'io') });
  });
  cli.out.line(flags.json === true ? JSON.stringify(answer) : printable(describe(answer, flags)));
  return EXIT.done;
}

async function readEvent({ type, source, id, subject, data }: EmitFlags, cli: Cli): Promise<CloudEvent> {
  const parsed = parseCloudEvent({
    specversion: '1.0',
    id: id ?? randomUUID(),
    source,
    type,
    ...(subject === undefined ? {} : { subject }),
    time: new Date().toISOString(),
    ...(data === undefined
      ? {}
      : { datacontenttype: 'application/json', data: await readJsonArgument('--data', data, cli) }),
  });
  if ('event' in parsed) return parsed.event;
  throw new CommandError(flowError('BLW_EVENT_INVALID', parsed.problem), EXIT.invalid);
}

function describe(answer: EmitAnswer | EventAnswer, { tenant = DEFAULT_TENANT, flow }: EmitFlags): string {
  const { id } = answer;
  if ('status' in answer) {
    if (answer.status === 'duplicate') return `event ${id} was sent to ${flow} before; nothing was done`;
    return answer.status === 'delivered'
      ? `event ${id} was delivered to ${flow}`
      : `event ${id} is kept by ${flow} until a step listens to it`;
  }
  if (answer.duplicate === true) return `event ${id} was emitted before; nothing was done`;
  return answer.receivers === 0
    ? `event ${id} was emitted; nobody of tenant ${tenant} listens to it`
    : `event ${id} was emitted to ${counted(answer.receivers, 'receiver')}`;
}
