import type { AsyncLocalStorage } from 'node:async_hooks';
import { asyncLocalStorage as activities } from '@temporalio/activity';
import type { NativeConnection } from '@temporalio/worker';
import { CallScope } from '../activities/call-scope';

/**
 * Has the SDK tell whose activity runs, and which deadline a request has, to what is called, until it first waits; not to what comes after that. Activities take their
 * context as they begin and hand it on (`Context.current()` throws after a wait), requests are made within the function that `withDeadline` is given.
 *
 * Before Node 24 an AsyncLocalStorage that is used once has Node call hooks for each promise of the thread from then on, a seventh of a worker's
 * CPU time: docs/decisions/023-known-at-the-call.md. Nothing else in a worker that does not trace uses one.
 */
export function knowAtCallOnly(connection: NativeConnection): void {
  tellAtCallOnly(activities);
  // Private, in the SDK's own typing; without it each activity would use it for requests that it makes.
  const { callContextStorage } = connection as unknown as { callContextStorage: AsyncLocalStorage<unknown> };
  tellAtCallOnly(callContextStorage);
}

/** Replaces what the SDK uses of a storage. */
function tellAtCallOnly<Store>(storage: AsyncLocalStorage<Store>): void {
  const scope = new CallScope<Store>();
  const run = <R>(store: Store, work: (...args: unknown[]) => R, ...args: unknown[]): R =>
    scope.run(store, () => work(...args));
  Object.assign(storage, { run, getStore: () => scope.current });
}
