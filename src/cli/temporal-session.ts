import type { Client } from '@temporalio/client';
import { connectClient, type TemporalTarget } from '../worker/temporal-connection';
import { translateClientError } from './client-errors';

/** A connection to Temporal for the time of a command. */
export interface TemporalSession {
  readonly client: Client;
  readonly address: string;
  readonly namespace: string;
}

/** Calls `work` with a connection and closes it afterwards. Errors of the connection come out as errors for people. */
export async function withTemporal<T>(
  target: TemporalTarget,
  work: (session: TemporalSession) => Promise<T>,
): Promise<T> {
  const { client, address, close } = await connectClient(target);
  const namespace = client.options.namespace;
  try {
    return await work({ client, address, namespace });
  } catch (error) {
    throw translateClientError(error, { address, namespace });
  } finally {
    await close();
  }
}
