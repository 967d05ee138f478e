import { isJsonObject, type JsonObject } from './json';

/** The only key of what stands for a payload that could not be read. */
const KEY = 'beamline.undecodablePayload';

/** Stands for a payload that could not be read, so that whoever gets it can refuse it in words. */
export function undecodable(reason: string): JsonObject {
  return { [KEY]: reason };
}

/** Why a payload could not be read, where the value stands for one. */
export function undecodableReason(value: unknown): string | undefined {
  const reason = isJsonObject(value) ? value[KEY] : undefined;
  return typeof reason === 'string' ? reason : undefined;
}
