import { createHash } from 'node:crypto';
import type { NativeConnection } from '@temporalio/worker';

/**
 * Tells the workers of one namespace and one queue prefix from all others that use the same NATS: a name that fits into subjects,
 * such as `shop-beamline-0f3c…`. The namespace's id counts, since many clusters have a namespace `default`.
 */
export async function installationOf(
  connection: NativeConnection,
  { namespace, queuePrefix }: { readonly namespace: string; readonly queuePrefix: string },
): Promise<string> {
  const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace });
  const id = createHash('sha256').update(JSON.stringify([namespaceInfo?.id, namespace, queuePrefix]));
  const words = [namespace, queuePrefix].map((word) => word.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 40));
  return [...words, id.digest('hex').slice(0, 16)].join('-');
}
