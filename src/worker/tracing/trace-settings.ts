import { accessSync, constants, statSync } from 'node:fs';
import { flowError } from '../../dsl/errors';

/** How OTLP is spoken. */
const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;

export type OtlpProtocol = (typeof PROTOCOLS)[number];

/** What is read of the environment here; all else of the OTEL_ variables the SDK reads. */
export interface TraceSettings {
  readonly protocol: OtlpProtocol;
  /** Spans that wait for their turn to be sent. */
  readonly maxQueueSize: number;
  /** Said once at the start. */
  readonly warnings: readonly string[];
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
];

/** Default of the specification. */
const DEFAULT_QUEUE_SIZE = 2_048;

/** Whole numbers above 0. */
const COUNTS = [
  'OTEL_BSP_MAX_QUEUE_SIZE',
  'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_BSP_EXPORT_TIMEOUT',
  'OTEL_EXPORTER_OTLP_TIMEOUT',
  'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
];

/** Lists of KEY=VALUE. Values may be credentials. */
const LISTS = ['OTEL_RESOURCE_ATTRIBUTES', 'OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'];

/** Both of all signals and of traces alone. */
const COMPRESSION = ['OTEL_EXPORTER_OTLP_COMPRESSION', 'OTEL_EXPORTER_OTLP_TRACES_COMPRESSION'];
const FILES = ['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE'].flatMap((name) => [
  `OTEL_EXPORTER_OTLP_${name}`,
  `OTEL_EXPORTER_OTLP_TRACES_${name}`,
]);

/**
 * Whether traces are to be sent, by the standard variables (OpenTelemetry, "Environment Variable Specification"): undefined where none
 * asks for it. Throws BLW_CONFIG for a wrong value, which the SDK would replace by a default.
 */
export function readTraceSettings(env: NodeJS.ProcessEnv): TraceSettings | undefined {
  const text = (name: string): string => env[name]?.trim() ?? '';
  const first = (...names: string[]): string => names.find((name) => text(name) !== '') ?? names[0] ?? '';
  const endpoint = first('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = text('OTEL_TRACES_EXPORTER');
  if (oneOf('OTEL_SDK_DISABLED', text('OTEL_SDK_DISABLED').toLowerCase(), ['true', 'false']) === 'true')
    return undefined;
  if (oneOf('OTEL_TRACES_EXPORTER', exporter, ['otlp', 'none']) === 'none') return undefined;
  if (exporter === '' && text(endpoint) === '') return undefined;

  const protocolName = first('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL');
  const protocol = oneOf(protocolName, text(protocolName), PROTOCOLS) ?? 'http/protobuf';
  requireEndpoint(endpoint, text(endpoint), protocol);
  const sampler = oneOf('OTEL_TRACES_SAMPLER', text('OTEL_TRACES_SAMPLER'), SAMPLERS);
  if (sampler?.endsWith('traceidratio') === true) requireRatio(text('OTEL_TRACES_SAMPLER_ARG'));
  for (const name of COUNTS) requireCount(name, text(name));
  for (const name of LISTS) requirePairs(name, text(name));
  for (const name of COMPRESSION) oneOf(name, text(name), ['gzip', 'none']);
  for (const name of FILES) requireFile(name, text(name));
  return {
    protocol,
    maxQueueSize: Number(text('OTEL_BSP_MAX_QUEUE_SIZE')) || DEFAULT_QUEUE_SIZE,
    warnings: propagatorWarnings(text('OTEL_PROPAGATORS')),
  };
}

/** Undefined where nothing is set. */
function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T | undefined {
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined || value === '') return found;
  throw wrong(name, JSON.stringify(value), allowed.join(', '));
}

/** Not repeated: it may have a password. For gRPC the scheme may be left out. */
function requireEndpoint(name: string, value: string, protocol: OtlpProtocol): void {
  if (value === '') return;
  const url = protocol === 'grpc' && !value.includes('://') ? `http://${value}` : value;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  throw wrong(name, 'no URL of the collector', 'http:// or https:// with host and port, such as http://localhost:4318');
}

function requireRatio(value: string): void {
  const ratio = Number(value === '' ? '1' : value);
  if (ratio >= 0 && ratio <= 1) return;
  throw wrong('OTEL_TRACES_SAMPLER_ARG', JSON.stringify(value), 'a number from 0 to 1');
}

function requireCount(name: string, value: string): void {
  if (value === '' || (Number.isInteger(Number(value)) && Number(value) > 0)) return;
  throw wrong(name, JSON.stringify(value), 'a whole number above 0');
}

/** The SDK would go on without it: with other certificates than those that were meant, or with none. */
function requireFile(name: string, file: string): void {
  if (file === '') return;
  try {
    accessSync(file, constants.R_OK);
    if (statSync(file).isFile()) return;
  } catch (cause) {
    throw wrong(
      name,
      `"${file}", which cannot be read (${(cause as NodeJS.ErrnoException).code})`,
      'a file in PEM',
      cause,
    );
  }
  throw wrong(name, `"${file}", which is no file`, 'a file in PEM');
}

function requirePairs(name: string, value: string): void {
  const pairs = value.split(',').filter((pair) => pair.trim() !== '');
  if (pairs.every((pair) => /^[^=]*[^=\s][^=]*=/.test(pair) && isEncoded(pair))) return;
  throw wrong(name, 'a text that is no such list', 'KEY=VALUE, several with commas, percent-encoded where need be');
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function propagatorWarnings(value: string): string[] {
  const isUsual = value === '' || value.split(',').some((name) => name.trim() === 'tracecontext');
  return isUsual ? [] : [`OTEL_PROPAGATORS: got "${value}"; flows hand traces on as tracecontext (W3C) only`];
}

function wrong(name: string, got: string, expected: string, cause?: unknown): Error {
  return flowError('BLW_CONFIG', `${name}: got ${got}, expected ${expected}`, { cause });
}
