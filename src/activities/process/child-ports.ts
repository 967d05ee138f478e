import { ScopedPorts } from '../access/scoped-ports';
import { meterPorts } from '../metered-ports';
import type { PortObserver } from '../port-observer';
import { accountBlobs } from '../ports/accounted-blob-store';
import type { BlobSpace } from '../ports/blob-space';
import { createSqlDatabases } from '../ports/configured-databases';
import { createFileBlobStore } from '../ports/file-blob-store';
import { createHttpClients } from '../ports/http-clients';
import { tracePorts } from '../tracing/traced-ports';
import type { ClosablePorts } from './child-server';
import type { ChildInit } from './protocol';

/** The real ports of a child process, with its parent's account of blobs. Throws BLW_CONFIG where the blob root cannot be used. */
export async function createChildPorts(
  { databases, ledger, blobRoot, allowHosts }: ChildInit,
  space: BlobSpace,
  observe?: PortObserver,
): Promise<ClosablePorts> {
  const sql = createSqlDatabases(databases, ledger);
  const blobs = await createFileBlobStore({ root: blobRoot });
  const http = createHttpClients({ allowHosts });
  return {
    ports: new ScopedPorts(
      tracePorts(meterPorts({ http, blobs: accountBlobs(blobs, space), databases: sql }, observe)),
    ),
    async close() {
      await Promise.allSettled([http.close(), sql.close()]);
      blobs.close();
    },
  };
}
