import type { Ports } from './block';
import type { BlobStore } from './ports/blob-store';
import type { HttpClient } from './ports/http-client';
import type { SqlDatabase, SqlDatabases } from './ports/sql-databases';
import type { StepMeter } from './step-meter';

/** The ports of one attempt: those that all attempts with its access have, called in the name of its meter. */
export class AttemptPorts implements Ports {
  constructor(
    private readonly shared: Ports,
    private readonly meter: StepMeter,
  ) {}

  get http(): HttpClient {
    const { meter } = this;
    const { http } = this.shared;
    return { send: (request) => meter.run(() => http.send(request)), close: () => http.close() };
  }

  get blobs(): BlobStore {
    const { meter } = this;
    const { blobs } = this.shared;
    return {
      put: (...args) => meter.run(() => blobs.put(...args)),
      takePart: (...args) => meter.run(() => blobs.takePart(...args)),
      stat: (...args) => meter.run(() => blobs.stat(...args)),
      read: (...args) => meter.run(() => blobs.read(...args)),
      list: (...args) => meter.run(() => blobs.list(...args)),
      delete: (...args) => meter.run(() => blobs.delete(...args)),
      sweep: (options) => blobs.sweep(options),
    };
  }

  get databases(): SqlDatabases {
    const { meter } = this;
    const { databases } = this.shared;
    return {
      get: (...args) => meteredDatabase(databases.get(...args), meter),
      close: () => databases.close(),
    };
  }

  /** What caches hang on: the client that all attempts share. */
  static clientOf(ports: Ports): HttpClient {
    return ports instanceof AttemptPorts ? ports.shared.http : ports.http;
  }
}

function meteredDatabase(database: SqlDatabase, meter: StepMeter): SqlDatabase {
  return {
    kind: database.kind,
    query: (...args) => meter.run(() => database.query(...args)),
    execute: (...args) => meter.run(() => database.execute(...args)),
    transaction: (...args) => meter.run(() => database.transaction(...args)),
    close: () => database.close(),
  };
}
