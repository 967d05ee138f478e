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
