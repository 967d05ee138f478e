import { CancellationScope, type LocalActivityOptions, proxyLocalActivities } from '@temporalio/workflow';

type Activity = (...args: unknown[]) => Promise<unknown>;

/**
 * Local activities that Temporal is never asked to cancel: whoever waits for one is cancelled at once, and it runs to its end
 * unheard. It has to be short and bounded.
 *
 * The reason is a defect of the SDK (1.23): a local activity that is cancelled after it ended, and before the workflow heard
 * of it, holds up the workflow task until it times out, and then again. Three that end together are enough, where the first
 * cancels the others, as branches of a fork with `compete` do.
 */
export function proxyBoundedActivities<Activities extends object>(options: LocalActivityOptions): Activities {
  const proxy: object = proxyLocalActivities(options);
  return new Proxy({} as Activities, {
    get: (_, name) => {
      const activity = Reflect.get(proxy, name) as Activity;
      return (...args: unknown[]) => withoutCancelling(() => activity(...args));
    },
  });
}

/** What an activity gives, heard of until the scope is cancelled. */
export function withoutCancelling<T>(start: () => Promise<T>): Promise<T> {
  const scope = CancellationScope.current();
  if (!scope.cancellable) return start();
  return new Promise((resolve, reject) => {
    scope.cancelRequested.catch(reject);
    if (!scope.consideredCancelled) CancellationScope.nonCancellable(start).then(resolve, reject);
  });
}
