import { type Command, Option } from 'commander';
import { parseWorkerConfig, type WorkerConfig } from '../worker/config';
import { readConfigFile } from '../worker/config-file';
import {
  environmentName,
  mergeOptions,
  type OptionName,
  type OptionSpec,
  type OptionValues,
  WORKER_OPTIONS,
} from '../worker/options';
import type { Cli } from './cli';

const SPECS: readonly (OptionSpec & { readonly name: OptionName })[] = WORKER_OPTIONS;
const CONFIG_VARIABLE = environmentName('config');

/** Values of the worker's flags as commander gives them, by camel-cased name. */
export type WorkerFlags = { readonly config?: string } & Readonly<Record<string, unknown>>;

/** Adds a flag for each setting of a worker, and `--config`. `defaults` are those of the command, in place of the table's. */
export function addWorkerFlags(command: Command, defaults: OptionValues = {}): Command {
  for (const spec of SPECS) command.addOption(toOption(spec, defaults[spec.name] ?? spec.default));
  return command.option('--config <FILE>', `settings in YAML, keys as the flags above (env: ${CONFIG_VARIABLE})`);
}

function toOption(spec: OptionSpec, defaultValue: string | readonly string[] | undefined): Option {
  const notes = [`env: ${environmentName(spec.name)}`];
  if (defaultValue !== undefined) notes.push(`default: ${[defaultValue].flat().join(', ')}`);
  if (spec.isRepeatable === true) notes.push('may be repeated');
  const option = new Option(`--${spec.name} <${spec.value}>`, `${spec.description} (${notes.join('; ')})`);
  if (spec.isRepeatable === true) option.argParser(append);
  return option;
}

function append(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** The worker's settings: command line over environment over config file over defaults. Throws BLW_CONFIG. */
export function readWorkerOptions(flags: WorkerFlags, cli: Cli, defaults: OptionValues = {}): OptionValues {
  const configFile = flags.config ?? cli.env[CONFIG_VARIABLE];
  const file = configFile === undefined || configFile === '' ? {} : readConfigFile(configFile);
  return mergeOptions({ flags: flagValues(flags), env: cli.env, file: { ...defaults, ...file } });
}

/** The same, checked. */
export function readWorkerConfig(flags: WorkerFlags, cli: Cli): WorkerConfig {
  return parseWorkerConfig(readWorkerOptions(flags, cli), cli.cwd);
}

function flagValues(flags: WorkerFlags): OptionValues {
  const values: OptionValues = {};
  for (const { name } of SPECS) {
    const value = flags[camelCase(name)] as string | readonly string[] | undefined;
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** As commander names the values of options. */
function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
