import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { PayloadStore } from '../../activities/payloads/payload-store';
import { flowError } from '../../dsl/errors';
import { type CodecAccess, identityAccess, OPEN_ACCESS, tokenAccess } from '../../worker/codec-server/access';
import { RemoteCodec } from '../../worker/codec-server/remote-codec';
import { type CodecServerOptions, startCodecServer } from '../../worker/codec-server/server';
import { isOpenToOthers, openToOthers } from '../../worker/file-rights';
import { explainKeyFile } from '../../worker/identity/issuer-keys';
import { createLogger, type Logger } from '../../worker/logger';
import { environmentName } from '../../worker/options';
import { openPolicy } from '../../worker/policy/open-policy';
import type { PolicySource } from '../../worker/policy/policy';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { type ConnectionFlags, keysOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { StopRequest } from '../stop-request';

const KEYS_VARIABLE = environmentName('encryption-keys');
const POLICY_VARIABLE = environmentName('policy');
const BLOB_ROOT_VARIABLE = environmentName('blob-root');
const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];
/** Where `beamline dev` and Temporal's own development server have their UI. */
const UI_ORIGINS = ['http://localhost:8233', 'http://127.0.0.1:8233'];
const MIB = 1_048_576;

const EXAMPLES = `
Examples:
  $ beamline codec-server --encryption-keys keys.yaml
  $ temporal workflow show --workflow-id order-4711 --codec-endpoint http://127.0.0.1:8081
  $ temporal workflow start --codec-endpoint http://127.0.0.1:8081/acme …    what is sent is encrypted for acme
  $ beamline codec-server --host 0.0.0.0 --token-file token --ui-origin https://temporal.example.com \\
      --encryption-keys keys.yaml --blob-root /srv/beamline/blobs

Serves POST /decode and /TENANT/decode and /TENANT/encode, as Temporal's UI and command line tool ask for them. Without tokens it
listens on this machine's loopback only. Exit codes: 0 stopped; 2 bad configuration.`;

interface Flags extends Pick<ConnectionFlags, 'encryptionKeys' | 'blobRoot' | 'namespace'> {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly policy?: string;
  readonly uiOrigin?: readonly string[];
  readonly maxBodyMb: number;
}

/** `beamline codec-server` */
export const addCodecServer: AddCommand = (command, cli, action) => {
  command
    .description("Lets Temporal's UI and command line tool read payloads that are encrypted, and large ones.")
    .option('--encryption-keys <FILE>', `keys of tenants, as the workers have them (env: ${KEYS_VARIABLE})`)
    .option(
      '--blob-root <DIR>',
      `blob root of the workers; without it large payloads stay claims (env: ${BLOB_ROOT_VARIABLE})`,
    )
    .option(
      '--host <ADDRESS>',
      'address to listen on; others than the loopback need --token-file or --policy',
      '127.0.0.1',
    )
    .addOption(new Option('--port <N>', 'port to listen on').default(8081).argParser(integerFrom(0, 65_535)))
    .option('--token-file <FILE>', 'file with the token that callers have to send: Authorization: Bearer …')
    .addOption(
      new Option(
        '--policy <FILE>',
        `policy of the workers: callers send tokens of its identity provider, which are good for their tenant (env: ${POLICY_VARIABLE})`,
      ).conflicts('tokenFile'),
    )
    .addOption(
      new Option(
        '--ui-origin <URL>',
        `origin of Temporal's UI, whose pages may call (default: ${UI_ORIGINS.join(', ')}; may be repeated)`,
      ).argParser(appendOrigin),
    )
    .option('--namespace <NAME>', 'namespace of callers that name none', 'default')
    .addOption(
      new Option('--max-body-mb <N>', 'most MiB of a request, and of the large payloads in an answer')
        .default(16)
        .argParser(integerFrom(1, 512)),
    )
    .addHelpText('after', EXAMPLES)
    .action(action((flags: Flags) => serve(flags, cli)));
};

function integerFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

function appendOrigin(text: string, previous: readonly string[] | undefined): readonly string[] {
  const origin = URL.canParse(text) ? new URL(text).origin : 'null';
  if (origin === 'null' || origin !== text.replace(/\/$/, '').toLowerCase()) {
    throw new InvalidArgumentError('Expected scheme, host and port, such as https://temporal.example.com.');
  }
  return [...(previous ?? []), origin];
}

async function serve(flags: Flags, cli: Cli): Promise<ExitCode> {
  const logger = createLogger({ logLevel: 'info', logFormat: 'json' }, `codec-server-${process.pid}`);
  const stop = new StopRequest((reason) => logger.log('info', 'stopping', { reason }));
  cli.onReaderGone = () => stop.request('EPIPE');
  let policy: PolicySource | undefined;
  try {
    const policyFile = flags.policy ?? (flags.tokenFile === undefined ? cli.env[POLICY_VARIABLE] : undefined);
    policy = await openPolicy(policyFile ? resolve(cli.cwd, policyFile) : undefined, logger);
    await warnOfFiles(flags, { cli, policy, logger });
    const server = await startCodecServer({ ...optionsOf(flags, { cli, policy, logger }), logger });
    cli.err.line(`codec server at ${server.url}`);
    await stop.wanted();
    await server.stop();
    return EXIT.done;
  } finally {
    await policy?.close();
    stop.release();
  }
}

interface ServerParts {
  readonly cli: Cli;
  readonly policy: PolicySource;
  readonly logger: Logger;
}

function optionsOf(flags: Flags, parts: ServerParts): Omit<CodecServerOptions, 'logger'> {
  const { cli, policy } = parts;
  const { host, port, namespace = 'default', uiOrigin = UI_ORIGINS } = flags;
  const keys = keysOf(flags, cli);
  if (keys.isEmpty) throw usageError('--encryption-keys is missing', { help: `Give it, or set ${KEYS_VARIABLE}.` });
  const blobRoot = flags.blobRoot ?? (cli.env[BLOB_ROOT_VARIABLE] || undefined);
  const store =
    blobRoot === undefined ? undefined : new PayloadStore({ blobRoot: resolve(cli.cwd, blobRoot), canCreate: false });
  const maxBytes = flags.maxBodyMb * MIB;
  return {
    host,
    port,
    namespace,
    origins: uiOrigin,
    maxBytes,
    access: accessOf(flags, parts),
    isLoopbackOnly: flags.tokenFile === undefined && policy.current() === undefined,
    codec: new RemoteCodec({ keys, store, maxBytes }),
  };
}

/** What a start may pass over, and callers would meet. */
async function warnOfFiles({ tokenFile }: Flags, { cli, policy, logger }: ServerParts): Promise<void> {
  const identity = policy.current()?.identity;
  const problem = identity && (await explainKeyFile(identity));
  if (problem !== undefined) logger.log('warn', `identity.jwks: ${problem}; no caller is known until that is mended`);
  const file = tokenFile && resolve(cli.cwd, tokenFile);
  if (file && isOpenToOthers(file)) logger.log('warn', openToOthers('--token-file'), { file });
}

function accessOf({ host, tokenFile }: Flags, { cli, policy, logger }: ServerParts): CodecAccess {
  if (tokenFile !== undefined) return tokenAccess(resolve(cli.cwd, tokenFile));
  const current = policy.current();
  if (current !== undefined && current.identity === undefined) {
    throw flowError('BLW_CONFIG', '--policy: has no section `identity`, which says whose tokens are accepted');
  }
  if (current !== undefined) return identityAccess(policy, (message) => logger.log('warn', message));
  if (LOOPBACK.includes(host)) return OPEN_ACCESS;
  throw usageError(`--host ${host}: others than this machine could read everything`, {
    help: 'Give --token-file or --policy, or listen on 127.0.0.1.',
  });
}
