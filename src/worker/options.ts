/** A setting of a worker: one row serves the command line, the environment, the config file and the documentation. */
export interface OptionSpec {
  /** Without the dashes; also the key in the config file. */
  readonly name: string;
  /** What the value is called in the help; absent: a switch. */
  readonly value: string;
  readonly description: string;
  /** As text, as a user would write it. */
  readonly default?: string;
  readonly isRepeatable?: boolean;
}

/** Folder of the blob store where none is named, below the folder that a command runs in. */
export const DEFAULT_BLOB_ROOT = '.beamline/blobs';

/** All settings of a worker; `beamline dev` and `beamline worker` share them. */
export const WORKER_OPTIONS = [
  {
    name: 'pools',
    value: 'LIST',
    default: 'io,cpu,gpu',
    description:
      'resource classes that this process serves, each with its own task queue; sandbox: dry runs, which reach nothing',
  },
  { name: 'io-pool-size', value: 'N', default: '16', description: 'steps of class io that run at once' },
  {
    name: 'cpu-pool-size',
    value: 'N',
    default: '8',
    description: 'steps of class cpu that run at once, each in a process of its own',
  },
  {
    name: 'gpu-pool-size',
    value: 'N',
    default: '2',
    description: 'steps of class gpu that run at once, each in a process of its own',
  },
  {
    name: 'sandbox-pool-size',
    value: 'N',
    default: '8',
    description: 'steps of dry runs that are answered at once, scripts that really run among them',
  },
  {
    name: 'dispatch',
    value: 'MODE',
    default: 'auto',
    description:
      'where steps without metadata.dispatch run: auto (in place where that is as safe and they are known to be quick, else in their queue), or queue',
  },
  {
    name: 'queue-prefix',
    value: 'NAME',
    default: 'beamline',
    description: 'task queues are called NAME-io, NAME-cpu, NAME-gpu and NAME-sandbox',
  },
  {
    name: 'max-memory-mb',
    value: 'N',
    default: '2048',
    description: 'heap of one process that runs cpu and gpu steps or SQLite, in MiB; the process may hold 160 MiB more',
  },
  {
    name: 'script-memory-mb',
    value: 'N',
    default: '128',
    description: 'memory of the engine of one script, in MiB; its process may hold 256 MiB more',
  },
  {
    name: 'script-isolation',
    value: 'MODE',
    default: 'auto',
    description:
      "isolation of scripts by the system (Linux: bubblewrap) beside their engine's: auto (where it works), required or off",
  },
  {
    name: 'catalog',
    value: 'DIR',
    description: 'folder of flows that can be started by name, and of functions; all workers need the same',
  },
  {
    name: 'build-id',
    value: 'ID',
    description: 'build of this worker: turns worker versioning on, so that flows stay on the build they began on',
  },
  {
    name: 'deployment-name',
    value: 'NAME',
    default: 'beamline',
    description: 'worker deployment that the builds belong to; counts with --build-id only',
  },
  {
    name: 'blob-root',
    value: 'DIR',
    default: DEFAULT_BLOB_ROOT,
    description: 'folder of the blob store, and of large payloads',
  },
  {
    name: 'payload-retention-days',
    value: 'N',
    description:
      'delete large payloads that were not used for so long; longer than any flow and the retention of the namespace together; without it they are kept',
  },
  {
    name: 'encryption-keys',
    value: 'FILE',
    description: 'keys of tenants, in YAML: their payloads are encrypted in Temporal and in the payload store',
  },
  {
    name: 'database',
    value: 'NAME=URL',
    isRepeatable: true,
    description:
      'a database for sql blocks: NAME=sqlite:FILE or NAME=postgres://…; TENANT/NAME=… is for one tenant only and comes before NAME',
  },
  {
    name: 'ledger-retention-days',
    value: 'N',
    default: '90',
    description:
      'how long databases remember what steps have written, so that a repeat does nothing; longer than any step may be retried',
  },
  {
    name: 'state-store',
    value: 'URL',
    description:
      'where workers keep quotas and usage: sqlite:FILE for one machine (default: state.sqlite in the blob root), postgres://… for several',
  },
  {
    name: 'secret',
    value: 'NAME=SOURCE',
    isRepeatable: true,
    description:
      'a secret that flows may use: NAME=env:VARIABLE or NAME=file:PATH; TENANT/NAME=… is for one tenant only',
  },
  {
    name: 'secret-folder',
    value: 'DIR',
    description: 'folder of secrets: files NAME for all tenants, TENANT/NAME for one tenant only',
  },
  {
    name: 'allow-host',
    value: 'HOST[:PORT]',
    isRepeatable: true,
    description: 'a private or loopback host that HTTP blocks may reach',
  },
  {
    name: 'policy',
    value: 'FILE',
    description: 'tenants, what they may do and how much; read again when it changes; without it everything is allowed',
  },
  {
    name: 'shutdown-grace',
    value: 'SECONDS',
    default: '30',
    description: 'time that running steps get to finish after SIGTERM',
  },
  {
    name: 'max-cached-flows',
    value: 'N',
    default: '300',
    description: 'flows kept in memory between their steps, at least 5; the others are rebuilt from history',
  },
  {
    name: 'log-level',
    value: 'LEVEL',
    default: 'info',
    description: 'lowest level that is logged: trace, debug, info, warn or error',
  },
  {
    name: 'log-format',
    value: 'FORMAT',
    default: 'json',
    description: 'form of the log: json (one object a line) or pretty',
  },
  {
    name: 'prometheus-endpoint',
    value: 'HOST:PORT',
    description:
      'serve metrics for Prometheus and health there: /metrics, /livez, /readyz, /status; PORT alone: for this machine only; without it nothing is counted',
  },
  {
    name: 'max-cpu-time-ms',
    value: 'N',
    description: 'CPU time that the steps of a tenant may use in a day (UTC), where its policy says nothing else',
  },
  {
    name: 'nats-url',
    value: 'URL',
    description:
      'NATS with JetStream, nats://HOST[:PORT] or tls://…, several with commas: events and dead letters go there, and events come from there',
  },
  {
    name: 'nats-credentials',
    value: 'FILE',
    description: 'who the worker is to NATS: a .creds file, or one line USER:PASSWORD; read again for each connection',
  },
  {
    name: 'nats-ca',
    value: 'FILE',
    description: 'certificates, in PEM, of the authorities that NATS servers are trusted by; counts with tls:// only',
  },
  {
    name: 'auth',
    value: 'MODE',
    default: 'none',
    description: 'who may start flows and decide: none (everyone who reaches Temporal) or jwt (whoever shows a token)',
  },
  {
    name: 'auth-key',
    value: 'FILE',
    description: 'key that the workers of an installation share, for --auth jwt; made by `beamline token keygen`',
  },
  {
    name: 'trust-network',
    value: 'yes|no',
    default: 'no',
    description: 'yes: --auth none also where Temporal is not on this machine',
  },
] as const satisfies readonly OptionSpec[];

export type OptionName = (typeof WORKER_OPTIONS)[number]['name'];

/** Settings as text, by name; a repeatable one as a list. Absent where neither given nor defaulted. */
export type OptionValues = { [K in OptionName]?: string | readonly string[] };

/** Name of the environment variable of a setting: `BEAMLINE_IO_POOL_SIZE`. */
export function environmentName(name: string): string {
  return `BEAMLINE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * Merges the sources of settings: command line over environment over config file over defaults. A repeatable one in the
 * environment is a list with commas.
 */
export function mergeOptions(sources: {
  flags: OptionValues;
  env: NodeJS.ProcessEnv;
  file: OptionValues;
}): OptionValues {
  const merged: OptionValues = {};
  for (const spec of WORKER_OPTIONS as readonly (OptionSpec & { name: OptionName })[]) {
    // A variable that is set to nothing is how shells and containers take one away.
    const fromEnv = sources.env[environmentName(spec.name)] || undefined;
    const envValue = fromEnv !== undefined && spec.isRepeatable === true ? splitList(fromEnv) : fromEnv;
    const value = sources.flags[spec.name] ?? envValue ?? sources.file[spec.name];
    const chosen = value ?? spec.default;
    if (chosen !== undefined) merged[spec.name] = chosen;
  }
  return merged;
}

/** Splits at commas; in a list of `NAME=…` only before the next name, since a URL or a path may have commas. */
function splitList(text: string): string[] {
  const separator = /^[^=,]+=/.test(text) ? /,(?=[^=,\s]+=(?:sqlite|postgres(?:ql)?|env|file):)/i : /,/;
  return text.split(separator).filter((part) => part !== '');
}
