import { flowError } from '../dsl/errors';
import { isJsonObject } from '../dsl/json';
import { TENANT } from '../dsl/start';

/**
 * Whose payloads these are, for the codec around the workflow. This module is loaded for each workflow (`workflow-bundle-options.ts`), so this is
 * the state of one.
 */
let owner: string | undefined;
/** Whose encrypted payloads came in before it was known whose workflow this is, with its arguments above all. */
let sealedFor: string | undefined;
let hasSealed = false;

const FOREIGN = 'it was encrypted for another tenant; send the data itself';

/**
 * Says whose workflow this is, from now on; called before anything else is done. Throws BLW_PAYLOAD_DENIED where its arguments
 * were encrypted for another tenant.
 */
export function belongTo(tenant: string): void {
  if (sealedFor !== undefined && sealedFor !== tenant) throw flowError('BLW_PAYLOAD_DENIED', `the payload: ${FOREIGN}`);
  owner = tenant;
}

/** As {@link belongTo}, for the tenant that a start input, or the request of a child, names; a token may say it later. */
export function belongToStated(start: unknown): void {
  const tenant = isJsonObject(start) ? start.tenant : undefined;
  if (typeof tenant === 'string' && TENANT.test(tenant)) belongTo(tenant);
}

/** The tenant whose key encrypts what leaves this workflow, where it is known. */
export function payloadOwner(): string | undefined {
  return owner ?? sealedFor;
}

/** True where payloads of the workflow's tenant have come in encrypted: the worker has a key for it. */
export function isSealed(): boolean {
  return hasSealed;
}

/** Why a payload that was encrypted for this tenant is not for this workflow; undefined where it is. */
export function refuseSealed(tenant: string): string | undefined {
  sealedFor ??= owner ?? tenant;
  if (sealedFor !== tenant) return FOREIGN;
  hasSealed = true;
  return undefined;
}
