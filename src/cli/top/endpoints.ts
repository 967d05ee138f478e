import { InvalidArgumentError } from 'commander';
import { shortText } from '../../dsl/problems';
import { environmentName } from '../../worker/options';
import type { Cli } from '../cli';

const VARIABLE = environmentName('prometheus-endpoint');

/** Where a worker serves its metrics, when it is told the usual port. */
const DEFAULT_ENDPOINT = '127.0.0.1:9090';

/** Where a worker's metrics are. */
export interface Endpoint {
  /** `127.0.0.1:9090`, as a person writes it. */
  readonly name: string;
  /** Without a slash at the end. */
  readonly url: string;
  /** Somebody named it: where nothing answers, it is said. */
  readonly isNamed: boolean;
}

/** Adds a value of `--metrics` to those before it. Throws InvalidArgumentError. */
export function parseEndpoint(text: string, previous: readonly Endpoint[] = []): readonly Endpoint[] {
  const endpoint = endpointOf(text, true);
  if (endpoint !== undefined) return [...previous, endpoint];
  throw new InvalidArgumentError(
    `Got "${shortText(text, 60)}", expected HOST:PORT, such as 127.0.0.1:9090, or an address that begins with http:// or https://.`,
  );
}

/** The endpoints to ask: those of the flag, else that of the environment, which a worker takes too, else the usual one, which nobody named. */
export function endpointsOf(given: readonly Endpoint[] | undefined, { env }: Pick<Cli, 'env'>): readonly Endpoint[] {
  if (given !== undefined) return given;
  const [found = endpointOf(DEFAULT_ENDPOINT, false)] = [endpointOf(env[VARIABLE] ?? '', true)];
  return found === undefined ? [] : [found];
}

/** Where a worker listens on all addresses, this machine reaches it by its own. */
const OWN_ADDRESS: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['[::]', '[::1]'],
]);

function endpointOf(text: string, isNamed: boolean): Endpoint | undefined {
  if (/^https?:\/\/[^/]/.test(text)) {
    return URL.canParse(text) ? { name: text, url: text.replace(/\/+$/, ''), isNamed } : undefined;
  }
  const [, host = '127.0.0.1', port] = /^(?:(\[[\da-fA-F:.]+\]|[^\s:/@[\]]+):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  const reached = OWN_ADDRESS.get(host) ?? host;
  return { name: `${reached}:${port}`, url: `http://${reached}:${port}`, isNamed };
}
