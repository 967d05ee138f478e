import { connect, createServer, isIPv6, type Server } from 'node:net';
import { flowError } from '../src/dsl/errors';

/** `host:port`, an IPv6 address in brackets. */
export function joinAddress(ip: string, port: number): string {
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The address under which this machine reaches what listens on `ip`: the wildcards become loopback. */
export function reachableIp(ip: string): string {
  if (ip === '0.0.0.0') return '127.0.0.1';
  return ip === '::' ? '::1' : ip;
}

/** A port that nothing listens on. Another process may still take it: be ready to ask again. */
export async function freePort(ip: string): Promise<number> {
  const server = await listen(ip, 0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`no port for ${ip}`);
  await reserve(server, { host: reachableIp(ip), port: address.port });
  return address.port;
}

/**
 * Closes the listener after one connection that this side ended first: the port is then in TIME_WAIT, where Linux
 * gives it to nobody who asks for any port, while who asks for it by number may have it (tcp(7), SO_REUSEADDR).
 */
async function reserve(server: Server, target: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve) => {
    server.once('connection', (socket) => socket.on('error', () => undefined).end());
    const socket = connect(target, () => socket.resume());
    socket.once('end', () => socket.end());
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve());
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** A port that was asked for, and the option that names it. */
export interface WantedPort {
  readonly ip: string;
  readonly port: number;
  /** The flag, for the message: `--port`. */
  readonly flag: string;
}

/** Throws BLW_CONFIG, with the port and what to do, where nobody can listen on it. */
export async function assertPortFree({ ip, port, flag }: WantedPort): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw flowError('BLW_CONFIG', `${flag} is ${port}; expected a whole number from 1 to 65535`);
  }
  try {
    const server = await listen(ip, port);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  } catch (cause) {
    throw flowError('BLW_CONFIG', whyNot({ ip, port, flag }, (cause as NodeJS.ErrnoException).code), { cause });
  }
}

function whyNot({ ip, port, flag }: WantedPort, code: string | undefined): string {
  const address = joinAddress(ip, port);
  if (code === 'EADDRINUSE') {
    return `port ${port} on ${ip} is in use (${flag}); stop what listens there, or choose another port with ${flag}`;
  }
  if (code === 'EACCES') return `this user may not listen on ${address}; choose a ${flag} above 1023`;
  if (code === 'EADDRNOTAVAIL') return `${ip} is no address of this machine; use 127.0.0.1, or one that it has`;
  return `cannot listen on ${address}: ${code ?? 'unknown error'}; choose another ${flag}`;
}

function listen(ip: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: ip, port, exclusive: true }, () => resolve(server));
  });
}
