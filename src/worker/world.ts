import type { OpenPorts } from '../activities/access/scoped-ports';
import type { BlobStore } from '../activities/ports/blob-store';
import { createSqlDatabases } from '../activities/ports/configured-databases';
import { createConfiguredSecrets } from '../activities/ports/configured-secrets';
import { createFileBlobStore } from '../activities/ports/file-blob-store';
import { createFileStepCache } from '../activities/ports/file-step-cache';
import type { HttpClient } from '../activities/ports/http-client';
import { createHttpClients } from '../activities/ports/http-clients';
import { SecretFolder } from '../activities/ports/secret-folder';
import type { SecretStore } from '../activities/ports/secret-store';
import type { StepCache } from '../activities/ports/step-cache';
import type { WorkerConfig } from './config';

/** What blocks of live flows may be let at. */
export interface World extends OpenPorts {
  readonly blobs: BlobStore;
  readonly secrets: SecretStore;
  readonly stepCache: StepCache;
}

/** Opens what the worker is configured with; `releases` learns how each is closed, also where a later one cannot be opened. */
export async function openWorld(
  config: WorkerConfig,
  {
    wrapHttp,
    wrapSecrets = (store) => store,
    stepCache = createFileStepCache({ root: config.blobRoot }),
    releases,
  }: {
    wrapHttp?: ((client: HttpClient) => HttpClient) | undefined;
    wrapSecrets?: ((store: SecretStore) => SecretStore) | undefined;
    stepCache?: StepCache | undefined;
    releases: (() => Promise<unknown>)[];
  },
): Promise<World> {
  const http = createHttpClients({ allowHosts: config.allowHosts }, wrapHttp);
  releases.push(() => http.close());
  const databases = createSqlDatabases(config.databases, config.ledger);
  releases.push(() => databases.close());
  const secretFolder = config.secretFolder === undefined ? undefined : new SecretFolder(config.secretFolder);
  const secrets = wrapSecrets(createConfiguredSecrets(config.secrets, process.env, secretFolder));
  const blobs = await createFileBlobStore({ root: config.blobRoot });
  releases.push(async () => blobs.close());
  return { http, databases, secrets, blobs, stepCache };
}

/** The settings of a worker that serves the sandbox alone: what leads outside is left out, whatever it was started with. */
export function withoutWorld({ nats: _, secretFolder: __, ...config }: WorkerConfig): WorkerConfig {
  return { ...config, databases: [], secrets: [], allowHosts: [] };
}
