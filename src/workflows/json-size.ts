import { measureJson } from '../dsl/encoded-json';
import { flowError } from '../dsl/errors';
import type { Json } from '../dsl/json';

/** Throws BLW_RESULT_TOO_LARGE for a value that does not fit. */
export function refuseTooLarge(value: Json, what: string, maxBytes: number): void {
  const bytes = measureJson(value);
  if (bytes <= maxBytes) return;
  throw flowError(
    'BLW_RESULT_TOO_LARGE',
    `${what}: ${bytes} bytes of JSON, at most ${maxBytes} fit; write large data to a blob and pass its path`,
  );
}
