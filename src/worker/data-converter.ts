import type { DataConverter, PayloadCodec } from '@temporalio/common';
import { ClaimCodec, type CodecRole } from '../activities/payloads/claim-codec';
import { CodecChain } from '../activities/payloads/codec-chain';
import { EncryptionCodec, type EncryptionOptions } from '../activities/payloads/encryption-codec';
import { KeyRing } from '../activities/payloads/key-ring';
import { PayloadStore } from '../activities/payloads/payload-store';
import { FAILURE_CONVERTER, LARGE_PAYLOAD_CONVERTER, PAYLOAD_CONVERTER } from './package-files';

/** How a worker reads and writes payloads: what cannot be read becomes a value that says so. */
export function workerDataConverter(store: PayloadStore, namespace: string, keys = KeyRing.EMPTY): DataConverter {
  return {
    payloadConverterPath: PAYLOAD_CONVERTER,
    failureConverterPath: FAILURE_CONVERTER,
    payloadCodecs: codecs({ store, namespace, keys, role: 'worker' }),
  };
}

/** What a client has to do with the payloads of flows. */
export interface ClientPayloads extends Pick<EncryptionOptions, 'tenant' | 'findTenant' | 'isBound'> {
  /** Absent: it has no part in large payloads. */
  readonly blobRoot?: string | undefined;
  /** Absent: it cannot read what is encrypted. */
  readonly keys?: KeyRing | undefined;
}

/** How a client does: errors are thrown, with codes. */
export function clientDataConverter(client: ClientPayloads, namespace: string): DataConverter {
  const { blobRoot, keys = KeyRing.EMPTY, ...encryption } = client;
  const store = blobRoot === undefined ? undefined : new PayloadStore({ blobRoot, canCreate: false });
  return {
    ...(store === undefined ? {} : { payloadConverterPath: LARGE_PAYLOAD_CONVERTER }),
    payloadCodecs: codecs({ ...encryption, store, namespace, keys, role: 'client' }),
  };
}

/** How stored histories are read; nothing is written. */
export function replayDataConverter(options: {
  blobRoot?: string | undefined;
  namespace?: string | undefined;
  keys?: KeyRing | undefined;
}): DataConverter {
  const { blobRoot, namespace = 'default', keys = KeyRing.EMPTY } = options;
  const store = blobRoot === undefined ? undefined : new PayloadStore({ blobRoot, canCreate: false });
  return {
    payloadConverterPath: PAYLOAD_CONVERTER,
    failureConverterPath: FAILURE_CONVERTER,
    payloadCodecs: codecs({ store, namespace, keys, role: 'replay' }),
  };
}

/** Encrypted first, and then put into the store where it is large. */
function codecs({
  store,
  ...options
}: EncryptionOptions & { store: PayloadStore | undefined; role: CodecRole }): PayloadCodec[] {
  const { namespace, role } = options;
  const claims = store === undefined ? [] : [new ClaimCodec({ store, namespace, role })];
  return [new CodecChain([new EncryptionCodec(options), ...claims])];
}
