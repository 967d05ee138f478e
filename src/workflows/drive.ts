/**
 * The interpreter is written as generators: they run synchronously and `yield` only at a real wait, so a step costs the
 * promise of its activity and little more. In Temporal's isolate every promise costs tens of microseconds (its promise
 * hook takes a stack trace), which made an interpreter of async functions several times slower.
 */
export type Routine<T> = Generator<PromiseLike<unknown>, T, unknown>;

/** Runs a routine to its end, waiting for each promise that it yields. */
export function drive<T>(routine: Routine<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const advance = (resume: () => IteratorResult<PromiseLike<unknown>, T>): void => {
      let step: IteratorResult<PromiseLike<unknown>, T>;
      try {
        step = resume();
      } catch (error) {
        reject(error);
        return;
      }
      if (step.done === true) {
        resolve(step.value);
        return;
      }
      step.value.then(
        (value) => advance(() => routine.next(value)),
        (error: unknown) => advance(() => routine.throw(error)),
      );
    };
    advance(() => routine.next());
  });
}

/** Waits for a promise inside a routine: `const value = yield* waitFor(promise)`. */
export function* waitFor<T>(promise: PromiseLike<T>): Routine<T> {
  return (yield promise) as T;
}
