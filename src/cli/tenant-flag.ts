import { TENANT } from '../dsl/start';
import { usageError } from './command-error';

/** Checks the value of `--tenant`, where there is one. Throws BLW_USAGE where no tenant can have the name. */
export function checkTenantFlag(tenant: string | undefined): void {
  if (tenant === undefined || TENANT.test(tenant)) return;
  throw usageError(
    `--tenant: got ${JSON.stringify(tenant.slice(0, 80))}, expected 1 to 63 letters, digits, ".", "_" or "-", the first a letter or digit`,
  );
}
