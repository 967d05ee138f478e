import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import {
  Metadata,
  Server as RpcServer,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { eventually } from './test-worker';

/** A span as it arrived. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: it begins its trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Record<string, unknown>;
  readonly events: readonly { readonly name: string; readonly attributes: Record<string, unknown> }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: an error. */
  readonly status: { readonly code?: number; readonly message?: string };
  /** Attributes of the resource. */
  readonly resource: Record<string, unknown>;
}

/** How a collector is called by gRPC, with the messages as they are. */
const EXPORT_BY_GRPC = {
  export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestDeserialize: (bytes: Buffer) => bytes,
    requestSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
  },
};

/** An OTLP collector on loopback, for all three protocols. */
export class TraceCollector {
  readonly spans: CollectedSpan[] = [];
  /** All that arrived, as text, to look for what must not be there. */
  text = '';
  readonly headers: NodeJS.Dict<string | string[]>[] = [];
  /** Answers with this instead of taking anything. */
  refuseWith: number | undefined;
  readonly #server: Server;
  readonly #rpc = new RpcServer();
  #rpcPort = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { refuseWith } = this;
        this.headers.push(request.headers);
        if (refuseWith === undefined && request.url === '/v1/traces') {
          const body = Buffer.concat(chunks);
          const content = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
          this.#take(content, request.headers['content-type'] ?? '');
        }
        response.writeHead(refuseWith ?? 200, { 'content-type': request.headers['content-type'] ?? '' }).end();
      });
    });
    this.#rpc.addService(EXPORT_BY_GRPC, {
      export: ({ request, metadata }: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        this.headers.push(metadata.toHttp2Headers() as NodeJS.Dict<string>);
        if (this.refuseWith !== undefined)
          return answer({ code: status.INVALID_ARGUMENT, details: 'refused', metadata: new Metadata() });
        this.#take(request, 'application/grpc');
        answer(null, Buffer.alloc(0));
      },
    });
  }

  static async start(port = 0): Promise<TraceCollector> {
    const collector = new TraceCollector();
    await new Promise<void>((resolve) => collector.#server.listen(port, '127.0.0.1', resolve));
    collector.#rpcPort = await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error));
      collector.#rpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
    });
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get grpcEndpoint(): string {
    return `http://127.0.0.1:${this.#rpcPort}`;
  }

  async stop(): Promise<void> {
    this.#rpc.forceShutdown();
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  /** Of one trace, once there are enough for `isWhole`; what arrives later is not in it. */
  async trace(traceId: string, isWhole: (spans: readonly CollectedSpan[]) => boolean): Promise<CollectedSpan[]> {
    return await eventually(async () => {
      const spans = this.spans.filter((span) => span.traceId === traceId);
      return isWhole(spans) ? spans : undefined;
    }, 20_000);
  }

  #take(body: Buffer, contentType: string): void {
    this.text += body.toString('latin1');
    const request = contentType.includes('json') ? JSON.parse(body.toString()) : decodeRequest(body);
    for (const { resource, scopeSpans } of (request as RawRequest).resourceSpans ?? []) {
      const ofResource = toObject(resource?.attributes);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) this.spans.push(toSpan(span, ofResource));
    }
  }
}

interface RawAttribute {
  readonly key: string;
  readonly value: Record<string, unknown>;
}

interface RawSpan extends Omit<CollectedSpan, 'attributes' | 'events' | 'links' | 'startMs' | 'endMs' | 'resource'> {
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly RawAttribute[];
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly RawAttribute[] }[];
  readonly links?: CollectedSpan['links'];
}

interface RawRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly RawAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
  }[];
}

function toSpan(span: RawSpan, resource: Record<string, unknown>): CollectedSpan {
  const { traceId, spanId, parentSpanId = '', name, kind, status = {} } = span;
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    status,
    resource,
    startMs: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
    endMs: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
    attributes: toObject(span.attributes),
    events: (span.events ?? []).map((event) => ({ name: event.name, attributes: toObject(event.attributes) })),
    links: (span.links ?? []).map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
  };
}

function toObject(attributes: readonly RawAttribute[] = []): Record<string, unknown> {
  const numbers = (value: unknown, key: string) => (key === 'intValue' ? Number(value) : value);
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[type = '', content] = []] = Object.entries(value);
      return [key, numbers(content, type)];
    }),
  );
}

/** What is read here of opentelemetry/proto/collector/trace/v1/trace_service.proto and what it includes. */
const PROTO = `
syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; bytes span_id = 2; }
message Status { string message = 2; int32 code = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; repeated Event events = 11;
  repeated Link links = 13; Status status = 15;
}`;

/** As the JSON form has it: ids in hexadecimal, 64-bit numbers as text. */
function decodeRequest(body: Buffer): unknown {
  const type = protobuf.parse(PROTO).root.lookupType('Request');
  const request = type.toObject(type.decode(body), { longs: String, bytes: Array, arrays: true });
  const hex = (key: string, value: unknown) =>
    /^(trace|span|parentSpan)Id$/.test(key) && Array.isArray(value) ? Buffer.from(value).toString('hex') : value;
  return JSON.parse(JSON.stringify(request), hex);
}
