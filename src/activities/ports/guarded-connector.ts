import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { type AllowedHosts, isAllowedHost, isPublicAddress, isReachableByName } from './address-policy';

/** An address as a resolver gives it. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Resolves a host name to all its addresses. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/**
 * The connection was refused by the address policy; nothing was connected, or the socket was closed before it was used.
 * `isAllowedName`: the operator allows the name, and it leads to a metadata service.
 */
export class AddressDeniedError extends Error {
  override readonly name = 'AddressDeniedError';

  constructor(readonly isAllowedName: boolean) {
    super('the address may not be reached');
  }
}

export interface GuardedConnectorOptions {
  readonly allowed: AllowedHosts;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** Default: {@link isPublicAddress}. */
  readonly isPublic?: (address: string) => boolean;
  /** For name, connection and TLS handshake together. Default: 10 s. */
  readonly connectTimeoutMs?: number;
  /** Trusted certificates in PEM; default: those of Node. */
  readonly ca?: string;
}

/**
 * How sockets are opened. Unless the host is allowed, the connection is refused where its literal address, any address
 * that its name resolves to or the address it reached is not public. A name that is allowed may lead to private addresses,
 * not to metadata services. A name is resolved once for a connection and the socket connects to the addresses that were
 * checked, so that a name cannot change its mind in between (DNS rebinding).
 */
export function createGuardedConnector(options: GuardedConnectorOptions): buildConnector.connector {
  const { allowed, resolve = resolveBySystem, isPublic = isPublicAddress, connectTimeoutMs = 10_000, ca } = options;
  const dial = (lookup: LookupFunction) =>
    buildConnector({ lookup, timeout: connectTimeoutMs, ...(ca === undefined ? {} : { ca }) });
  const dialChecked = (isFine: (address: string) => boolean, isAllowedName: boolean) =>
    dial(lookupThrough(async (hostname) => checkAddresses(await resolve(hostname), isFine, isAllowedName)));
  const allowedConnector = dialChecked(isReachableByName, true);
  const publicConnector = dialChecked(isPublic, false);

  return (target, callback) => {
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
    if (isAllowedHost(allowed, target.hostname, port)) {
      allowedConnector(target, callback);
    } else if (isIP(target.hostname) !== 0 && !isPublic(target.hostname)) {
      // Node asks no resolver for a literal address. Later, since undici is still inside its own call.
      queueMicrotask(() => callback(new AddressDeniedError(false), null));
    } else {
      publicConnector(target, (...result) => callback(...checkConnected(result, isPublic)));
    }
  };
}

/** One address that is not fine condemns the name: which of them would be reached is left to chance. */
function checkAddresses(
  addresses: readonly ResolvedAddress[],
  isFine: (address: string) => boolean,
  isAllowedName: boolean,
): readonly ResolvedAddress[] {
  if (!addresses.every(({ address }) => isFine(address))) throw new AddressDeniedError(isAllowedName);
  return addresses;
}

function checkConnected(
  result: Parameters<buildConnector.Callback>,
  isPublic: (address: string) => boolean,
): Parameters<buildConnector.Callback> {
  const [error, socket] = result;
  if (error !== null || isPublic(socket.remoteAddress ?? '')) return result;
  socket.destroy();
  return [new AddressDeniedError(false), null];
}

function lookupThrough(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined) callback(notFound(hostname), [], 0);
        else if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, [], 0),
    );
  };
}

async function resolveBySystem(hostname: string): Promise<readonly ResolvedAddress[]> {
  const addresses = await systemLookup(hostname, { all: true });
  return addresses.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address for ${hostname}`), { code: 'ENOTFOUND' });
}
