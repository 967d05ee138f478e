import { takeDuty } from '../state/duties';
import { execute, query, type Rule } from '../state/rule';

/** A message that waits to be published. */
export interface OutboxRow {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  /** The installation that said it (`installation.ts`). */
  readonly origin: string;
  /** JSON, or sealed (`message-body.ts`). */
  readonly body: string;
}

/** Keeps a message; one with the same id that waits already is the same. */
export function* addMessage({ id, tenant, subject, origin, body }: OutboxRow): Rule<void> {
  yield* execute(
    `INSERT INTO beamline_outbox (id, tenant, subject, origin, body, created_at) VALUES (?, ?, ?, ?, ?, now_ms())
       ON CONFLICT (id) DO NOTHING`,
    id,
    tenant,
    subject,
    origin,
    body,
  );
}

/** True where there is something to publish. Reads only. */
export function* hasMessages(): Rule<boolean> {
  const rows = yield* query('SELECT 1 AS one FROM beamline_outbox WHERE not_before <= now_ms() LIMIT 1');
  return rows.length > 0;
}

/** The oldest messages, for the one worker whose duty it is to publish them; none for all others. */
export function* takeMessages(worker: string, limit: number): Rule<readonly OutboxRow[]> {
  if (!(yield* takeDuty('publish', worker))) return [];
  return yield* query<OutboxRow>(
    `SELECT id, tenant, subject, origin, body FROM beamline_outbox WHERE not_before <= now_ms()
       ORDER BY created_at, id LIMIT ?`,
    limit,
  );
}

/** Forgets what has been published. */
export function* removeMessage(id: string): Rule<void> {
  yield* execute('DELETE FROM beamline_outbox WHERE id = ?', id);
}

/** Lets others go first for a while. */
export function* postponeMessage(id: string, delayMs: number): Rule<void> {
  yield* execute('UPDATE beamline_outbox SET not_before = now_ms() + ? WHERE id = ?', delayMs, id);
}

/** Messages that wait. Reads only. */
export function* countMessages(): Rule<number> {
  const [row] = yield* query<{ count: number }>('SELECT CAST(COUNT(*) AS BIGINT) AS count FROM beamline_outbox');
  return row?.count ?? 0;
}
