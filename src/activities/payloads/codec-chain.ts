import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';

/** A codec that knows without waiting which payloads it passes on as they are. */
export interface ChainedCodec extends PayloadCodec {
  passesEncoding(payloads: readonly Payload[]): boolean;
  passesDecoding(payloads: readonly Payload[], context?: SerializationContext): boolean;
}

/**
 * Codecs one after the other, as one: Temporal's SDK awaits each of its codecs for each payload, and most payloads need none. Encodes from the first
 * to the last, decodes the other way round.
 */
export class CodecChain implements PayloadCodec {
  constructor(private readonly codecs: readonly ChainedCodec[]) {}

  encode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (this.codecs.every((codec) => codec.passesEncoding(payloads))) return Promise.resolve(payloads);
    return this.#encode(payloads, context);
  }

  decode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (this.codecs.every((codec) => codec.passesDecoding(payloads, context))) return Promise.resolve(payloads);
    return this.#decode(payloads, context);
  }

  async #encode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    let encoded = payloads;
    for (const codec of this.codecs) encoded = await codec.encode(encoded, context);
    return encoded;
  }

  async #decode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    let decoded = payloads;
    for (const codec of [...this.codecs].reverse()) decoded = await codec.decode(decoded, context);
    return decoded;
  }
}
