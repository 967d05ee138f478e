import { flowError } from '../../dsl/errors';
import { execute, query, type Rule } from './rule';

/** Version of the tables below. A change adds a step to {@link ensureSchema} and never edits one. */
export const SCHEMA_VERSION = 5;

/** Times are milliseconds since 1970, by the store's clock. */
const VERSION_1 = [
  `CREATE TABLE beamline_tenants (
    tenant TEXT PRIMARY KEY,
    next_seq BIGINT NOT NULL DEFAULT 0,
    known_limit BIGINT,
    rate_next DOUBLE PRECISION NOT NULL DEFAULT 0,
    cpu_window BIGINT NOT NULL DEFAULT 0,
    cpu_used_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    blob_bytes BIGINT
  )`,
  // What runs now: attempts of steps, and flows that are open.
  `CREATE TABLE beamline_leases (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    worker TEXT NOT NULL,
    namespace TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    checked_at BIGINT NOT NULL DEFAULT 0
  )`,
  'CREATE INDEX beamline_leases_of_tenant ON beamline_leases (tenant, kind, expires_at)',
  'CREATE INDEX beamline_leases_of_worker ON beamline_leases (worker)',
  // Who waits. offered_until: 0 in line; else a place is set aside until then, to be taken from ready_at on.
  `CREATE TABLE beamline_tickets (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    priority BIGINT NOT NULL,
    since BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    ready_at BIGINT NOT NULL DEFAULT 0,
    offered_until BIGINT NOT NULL DEFAULT 0,
    needs_bytes BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
  )`,
  'CREATE INDEX beamline_tickets_line ON beamline_tickets (tenant, kind, offered_until, priority, since, seq)',
  // Changes of blobs that are under way. bytes: what they may add; is_count: nobody may change the tenant's blobs meanwhile.
  `CREATE TABLE beamline_blob_changes (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    is_count BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
  )`,
  `CREATE TABLE beamline_usage (
    tenant TEXT NOT NULL,
    day TEXT NOT NULL,
    steps BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    cpu_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    peak_memory_bytes BIGINT NOT NULL DEFAULT 0,
    bytes_in BIGINT NOT NULL DEFAULT 0,
    bytes_out BIGINT NOT NULL DEFAULT 0,
    blob_bytes BIGINT NOT NULL DEFAULT 0,
    approvals BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, day)
  )`,
  // What has been counted in beamline_usage, for the case that it is reported again.
  `CREATE TABLE beamline_counted (
    id TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    counted_at BIGINT NOT NULL
  )`,
  'CREATE INDEX beamline_counted_at ON beamline_counted (counted_at)',
];

const VERSION_2 = [
  // What one worker does for all of them, until it is not heard of any more.
  `CREATE TABLE beamline_duties (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
  )`,
  // What attempts used that has been added to beamline_usage and beamline_tenants, for the case that it is reported again.
  `CREATE TABLE beamline_charged (
    id TEXT PRIMARY KEY,
    charged_at BIGINT NOT NULL
  )`,
  'CREATE INDEX beamline_charged_at ON beamline_charged (charged_at)',
];

const VERSION_3 = [
  // What is to be published to NATS, until it has been. origin: the installation that said it.
  `CREATE TABLE beamline_outbox (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    origin TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL DEFAULT 0
  )`,
  'CREATE INDEX beamline_outbox_order ON beamline_outbox (created_at, id)',
];

const VERSION_4 = [
  // Length of the window that began at cpu_window; 0: not known.
  'ALTER TABLE beamline_tenants ADD COLUMN cpu_window_ms BIGINT NOT NULL DEFAULT 0',
];

const VERSION_5 = [
  // What metrics show of beamline_usage, which may be corrected downwards and lose old days: a counter must not fall. pruned: what value
  // has beyond the days that are there; first_day: the oldest of them.
  `CREATE TABLE beamline_usage_counters (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    pruned DOUBLE PRECISION NOT NULL,
    first_day TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
  )`,
];

/**
 * Makes the tables where there are none. To be run alone: the driver excludes other processes meanwhile. Throws BLW_CONFIG where a newer
 * version of this program has been here.
 */
export function* ensureSchema(): Rule<void> {
  yield* execute('CREATE TABLE IF NOT EXISTS beamline_state (version BIGINT NOT NULL)');
  const [row] = yield* query<{ version: number }>('SELECT version FROM beamline_state');
  const version = row?.version ?? 0;
  if (version > SCHEMA_VERSION) {
    throw flowError(
      'BLW_CONFIG',
      `--state-store: got a store of version ${version}, this program knows up to ${SCHEMA_VERSION}; update it`,
    );
  }
  if (version === SCHEMA_VERSION) return;
  const steps = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5];
  for (const statement of steps.slice(version).flat()) yield* execute(statement);
  yield* execute('DELETE FROM beamline_state');
  yield* execute('INSERT INTO beamline_state (version) VALUES (?)', SCHEMA_VERSION);
}
