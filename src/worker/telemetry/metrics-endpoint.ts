import { flowError } from '../../dsl/errors';

/** Where a worker serves its metrics and health. */
export interface MetricsEndpoint {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
const SUCH = 'HOST:PORT, such as 127.0.0.1:9090, 0.0.0.0:9090, [::1]:9090, or PORT alone for this machine only';

/** Reads `--prometheus-endpoint`: HOST:PORT; without a host it is the loopback. Throws BLW_CONFIG. */
export function parseMetricsEndpoint(text: string): MetricsEndpoint {
  const parts = /^(?:(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[A-Za-z0-9._-]+))?:)?(?<port>\d{1,5})$/.exec(text.trim());
  const port = Number(parts?.groups?.port ?? Number.NaN);
  if (port >= 0 && port <= 65_535) {
    return { host: parts?.groups?.six ?? parts?.groups?.host ?? LOOPBACK, port };
  }
  throw flowError('BLW_CONFIG', `--prometheus-endpoint: got "${text}", expected ${SUCH}`);
}
