import { FlowError } from '../../../src/dsl/errors';
import { readTraceSettings } from '../../../src/worker/tracing/trace-settings';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' };

test.each<[string, NodeJS.ProcessEnv]>([
  ['nothing is set', {}],
  ['all is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_TRACES_EXPORTER: '' }],
  ['the exporter is none', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
  ['the SDK is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
  ['only other things are set', { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'nonsense' }],
])('traces are off where %s', (_, env) => {
  expect(readTraceSettings(env)).toBeUndefined();
});

test.each<[NodeJS.ProcessEnv, object]>([
  [ENDPOINT, { protocol: 'http/protobuf', maxQueueSize: 2_048, warnings: [] }],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, { protocol: 'http/protobuf' }],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://otlp.example.com/v1/traces' }, { protocol: 'http/protobuf' }],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' },
    { protocol: 'http/json' },
  ],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, { protocol: 'grpc' }],
  [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, {}],
  [{ ...ENDPOINT, OTEL_BSP_MAX_QUEUE_SIZE: '10' }, { maxQueueSize: 10 }],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%3Db,x=y' }, {}],
  [{ ...ENDPOINT, OTEL_PROPAGATORS: 'tracecontext,baggage' }, { warnings: [] }],
  [{ ...ENDPOINT, OTEL_PROPAGATORS: 'b3' }, { warnings: [expect.stringContaining('OTEL_PROPAGATORS: got "b3"')] }],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip', OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'none' },
    { protocol: 'http/protobuf' },
  ],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: __filename }, { protocol: 'http/protobuf' }],
])('traces are on with %j', (env, expected) => {
  expect(readTraceSettings(env)).toMatchObject(expected);
});

test.each<[NodeJS.ProcessEnv, string]>([
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, 'OTEL_TRACES_EXPORTER: got "zipkin", expected otlp, none'],
  [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'yes' }, 'OTEL_SDK_DISABLED: got "yes", expected true, false'],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http' },
    'OTEL_EXPORTER_OTLP_PROTOCOL: got "http", expected http/protobuf',
  ],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'user:pass@collector' }, 'OTEL_EXPORTER_OTLP_ENDPOINT: got no URL of the collector'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'ftp://collector' }, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: got no URL'],
  [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'half' }, 'OTEL_TRACES_SAMPLER: got "half", expected always_on'],
  [
    { ...ENDPOINT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '50%' },
    'OTEL_TRACES_SAMPLER_ARG: got "50%", expected a number from 0 to 1',
  ],
  [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, 'OTEL_TRACES_SAMPLER_ARG'],
  [
    { ...ENDPOINT, OTEL_BSP_SCHEDULE_DELAY: '-1' },
    'OTEL_BSP_SCHEDULE_DELAY: got "-1", expected a whole number above 0',
  ],
  [{ ...ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: 'team' }, 'OTEL_RESOURCE_ATTRIBUTES: got a text that is no such list'],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: 'secret-of-mine' },
    'OTEL_EXPORTER_OTLP_HEADERS: got a text that is no such list',
  ],
  ...['', 'TRACES_'].flatMap((signal): [NodeJS.ProcessEnv, string][] => [
    [
      { ...ENDPOINT, [`OTEL_EXPORTER_OTLP_${signal}COMPRESSION`]: 'zip' },
      `OTEL_EXPORTER_OTLP_${signal}COMPRESSION: got "zip", expected gzip, none`,
    ],
    ...['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE'].map((name): [NodeJS.ProcessEnv, string] => [
      { ...ENDPOINT, [`OTEL_EXPORTER_OTLP_${signal}${name}`]: '/nowhere/x.pem' },
      `OTEL_EXPORTER_OTLP_${signal}${name}: got "/nowhere/x.pem", which cannot be read (ENOENT), expected a file in PEM`,
    ]),
  ]),
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: __dirname },
    `OTEL_EXPORTER_OTLP_CERTIFICATE: got "${__dirname}", which is no file`,
  ],
])('refuses %j', (env, message) => {
  let thrown: unknown;
  try {
    readTraceSettings(env);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(FlowError);
  expect((thrown as FlowError).data.code).toBe('BLW_CONFIG');
  expect((thrown as FlowError).message).toContain(message);
  expect((thrown as FlowError).message).not.toMatch(/pass@|secret-of-mine/);
});
