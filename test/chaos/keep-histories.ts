import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';

/** Writes the histories of flows that hang into files, as `npm run replay` reads them: the server is gone after the run. */
export async function keepHistories(client: Client, seed: number, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const folder = join(tmpdir(), `beamline-chaos-${seed}`);
  mkdirSync(folder, { recursive: true });
  for (const id of ids) {
    try {
      const history = await client.workflow.getHandle(id).fetchHistory();
      writeFileSync(join(folder, `${id}.json`), historyToJSON(history));
    } catch (error) {
      console.log(`the history of ${id} cannot be kept: ${String(error)}`);
    }
  }
  console.log(`histories of flows that hang: ${folder}`);
}
