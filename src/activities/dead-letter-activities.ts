import { withoutValues } from '../dsl/dead-letter-event';
import type { CloudEvent } from '../dsl/events/cloud-event';
import { PUBLISH_DEAD_LETTER } from '../dsl/names';
import { recordedOnly } from './in-place/recorded-only';
import { localOnly } from './local-only';
import type { KeyRing } from './payloads/key-ring';
import type { EventScope } from './ports/events';
import type { Gate } from './ports/gate';
import type { Outbox } from './ports/outbox';

/** Local activities by which flows tell others of their dead letters. */
export function createDeadLetterActivities(outbox: Outbox, gate: Gate, keys: KeyRing) {
  return {
    [PUBLISH_DEAD_LETTER]: recordedOnly(
      localOnly(
        async (at, { tenant, grant, event }: EventScope & { readonly grant?: string; readonly event: CloudEvent }) => {
          await gate.recognize({ tenant, ...(grant === undefined ? {} : { grant }) }, at);
          // What is encrypted in Temporal does not go out readable.
          const isEncrypted = keys.encrypting(tenant) !== undefined;
          await outbox.put({ kind: 'deadLetter', tenant, event: isEncrypted ? withoutValues(event) : event });
        },
      ),
    ),
  };
}
