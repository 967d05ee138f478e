import { type ErrorCode, isErrorCode } from './error-codes';
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

/** The only key of what stands for a payload whose content the payload store cannot give. */
const LOST_KEY = 'beamline.lostPayload';

/** Why a claim could not be redeemed, for good: BLW_PAYLOAD_MISSING, _DAMAGED or _DENIED, and words for people. */
export interface LostPayload {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Stands for a payload that is lost, so that whoever gets it fails with its code. Its form is part of what replays. */
export function lostPayload({ code, detail }: LostPayload): JsonObject {
  return { [LOST_KEY]: { code, detail } };
}

/** What happened to a payload, where the value stands for a lost one. */
export function lostPayloadOf(value: unknown): LostPayload | undefined {
  const lost = isJsonObject(value) ? value[LOST_KEY] : undefined;
  if (!isJsonObject(lost)) return undefined;
  const { code, detail } = lost;
  return typeof code === 'string' && isErrorCode(code) && typeof detail === 'string' ? { code, detail } : undefined;
}
