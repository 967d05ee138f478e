import type { DataConverter } from '@temporalio/common';
import { ClaimCodec } from '../activities/payloads/claim-codec';
import { PayloadStore } from '../activities/payloads/payload-store';
import { LARGE_PAYLOAD_CONVERTER, PAYLOAD_CONVERTER } from './package-files';

/** How a worker reads and writes payloads: what cannot be read becomes a value that says so. */
export function workerDataConverter(store: PayloadStore, namespace: string): DataConverter {
  return {
    payloadConverterPath: PAYLOAD_CONVERTER,
    payloadCodecs: [new ClaimCodec({ store, namespace, role: 'worker' })],
  };
}

/** How a client does: errors are thrown, with codes. Without a blob root it has no part in large payloads. */
export function clientDataConverter({ blobRoot }: { blobRoot?: string | undefined }, namespace: string): DataConverter {
  if (blobRoot === undefined) return {};
  const store = new PayloadStore({ blobRoot, canCreate: false });
  return {
    payloadConverterPath: LARGE_PAYLOAD_CONVERTER,
    payloadCodecs: [new ClaimCodec({ store, namespace, role: 'client' })],
  };
}

/** How stored histories are read; nothing is written. */
export function replayDataConverter(options: {
  blobRoot?: string | undefined;
  namespace?: string | undefined;
}): DataConverter {
  const { blobRoot, namespace = 'default' } = options;
  if (blobRoot === undefined) return { payloadConverterPath: PAYLOAD_CONVERTER };
  const store = new PayloadStore({ blobRoot, canCreate: false });
  return {
    payloadConverterPath: PAYLOAD_CONVERTER,
    payloadCodecs: [new ClaimCodec({ store, namespace, role: 'replay' })],
  };
}
