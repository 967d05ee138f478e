import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { type NatsConfig, readCredentials } from './nats-config';

const CONNECT_TIMEOUT_MS = 3_000;

/** A server that is silent for two of these is taken for gone. */
const PING_EVERY_MS = 10_000;

/**
 * Connects once; a connection that breaks is closed for good, and whoever needs one makes another, with the credentials as they are by
 * then. The client's own way to come back gives up where a password was changed.
 */
export async function connectNats(config: NatsConfig, name: string): Promise<NatsConnection> {
  return await connect({
    servers: [...config.servers],
    name,
    reconnect: false,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_EVERY_MS,
    ignoreClusterUpdates: true,
    ...tlsOf(config),
    ...authenticatorOf(config),
  });
}

/** With `tls` the client refuses servers that do not speak it; without, it still uses it where the server wants it. */
function tlsOf({ isTls, ca }: NatsConfig): Pick<ConnectionOptions, 'tls'> {
  if (!isTls) return {};
  return { tls: ca === undefined ? {} : { caFile: ca } };
}

function authenticatorOf({ credentials: file }: NatsConfig): Pick<ConnectionOptions, 'authenticator'> {
  if (file === undefined) return {};
  const credentials = readCredentials(file);
  if ('creds' in credentials) return { authenticator: credsAuthenticator(credentials.creds) };
  return { authenticator: usernamePasswordAuthenticator(credentials.user, credentials.password) };
}
