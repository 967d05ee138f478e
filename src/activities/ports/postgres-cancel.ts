import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** The parts of node-postgres' connection that its declarations leave out. */
interface CancelConnection {
  readonly stream: { destroy(): void; once(event: 'close', listener: () => void): unknown };
  on(event: 'connect' | 'sslconnect' | 'error', listener: () => void): unknown;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/** What a cancel request needs to know of a connected client. */
interface CancelTarget {
  readonly host: string;
  readonly port: number;
  readonly ssl: NonNullable<pg.ClientConfig['ssl']>;
  readonly processID: number | null;
  readonly secretKey: number | null;
}

/** A cancel request that is not through by then never will be. */
const CANCEL_TIMEOUT_MS = 2_000;

/** Pauses after which ending a session is tried again, where no connection is to be had for it. */
const END_PAUSES_MS = [250, 1_000, 4_000];

/** The number under which the server knows a client's session; undefined before it is connected. */
export function backendOf(client: pg.Client): number | undefined {
  return (client as unknown as CancelTarget).processID ?? undefined;
}

/**
 * Ends a session on the server whose connection was given up. The cancel request before is not enough: a statement can catch
 * it (`EXCEPTION WHEN query_canceled` in PL/pgSQL), as it can catch or undo statement_timeout, and would go on for ever, since
 * a server that runs a statement does not look at its client. Nothing catches pg_terminate_backend, which every role may use
 * on its own sessions. Never rejects; gives up where the server cannot be reached, and after one try once `closing` is aborted.
 */
export async function endBackend(pool: pg.Pool, backend: number, closing: AbortSignal): Promise<void> {
  for (const pauseMs of [...END_PAUSES_MS, 0]) {
    try {
      await pool.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND usename = session_user',
        [backend],
      );
      return;
    } catch {
      // All connections are taken, or the server is away.
      if (closing.aborted) return;
      await delay(pauseMs, undefined, { signal: closing, ref: false }).catch(() => undefined);
    }
  }
}

/**
 * Asks the server to stop what a client is running, over a connection of its own as the protocol has it ("Canceling Requests
 * in Progress"): it needs no login, so it works when all connections are taken. Resolves when the request is through or
 * has failed; whether something was stopped shows on the client only. Use it on clients that are thrown away afterwards:
 * the request may arrive late, and stop what the client does next.
 */
export async function requestCancel(client: pg.Client): Promise<void> {
  const target = client as unknown as CancelTarget;
  if (target.processID === null || target.secretKey === null) return;
  const { processID, secretKey } = target;
  const connection = new pg.Connection({ ssl: target.ssl }) as unknown as CancelConnection;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), CANCEL_TIMEOUT_MS);
    // The server answers by closing the connection.
    const send = (): void => connection.cancel(processID, secretKey);
    connection.stream.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    connection.on('error', () => connection.stream.destroy());
    connection.on('sslconnect', send);
    connection.on('connect', () => (target.ssl ? connection.requestSsl() : send()));
    if (target.host.startsWith('/')) connection.connect(`${target.host}/.s.PGSQL.${target.port}`);
    else connection.connect(target.port, target.host);
  });
}
