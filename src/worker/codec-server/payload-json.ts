import type { Payload } from '@temporalio/common';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';

/** A payload in the JSON of Temporal's remote codecs (Temporal docs, "Codec Server"): its bytes are in base64. */
export function payloadFromJson(value: Json): Payload | undefined {
  if (!isJsonObject(value)) return undefined;
  const { metadata = {}, data = '' } = value;
  if (!isJsonObject(metadata) || typeof data !== 'string') return undefined;
  const decoded: Record<string, Uint8Array> = {};
  for (const [name, text] of Object.entries(metadata)) {
    if (typeof text !== 'string') return undefined;
    decoded[name] = Buffer.from(text, 'base64');
  }
  return { metadata: decoded, data: Buffer.from(data, 'base64') };
}

/** The same the other way round. */
export function payloadToJson({ metadata, data }: Payload): JsonObject {
  const encoded = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, base64(bytes)]);
  return { metadata: Object.fromEntries(encoded) as JsonObject, data: base64(data ?? new Uint8Array()) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
