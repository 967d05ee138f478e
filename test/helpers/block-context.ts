import type { BlockContext, Ports, StepIdentity } from '../../src/activities/block';
import { BlockFailure } from '../../src/activities/block-failure';
import { AttemptFence, type Fence, freshFor } from '../../src/activities/fence';
import type { Json } from '../../src/dsl/json';

/** A block's context for tests: a step with an identity, the ports given, heartbeats recorded. */
export interface TestContext extends BlockContext {
  readonly heartbeats: Json[];
}

/** Makes a context; a port that the test does not give fails when it is used. */
export function makeContext(
  ports: Partial<Ports>,
  options: { step?: Partial<StepIdentity>; signal?: AbortSignal; timeoutMs?: number; fence?: Fence } = {},
): TestContext {
  const heartbeats: Json[] = [];
  const { step = {}, signal = new AbortController().signal, timeoutMs = 20_000 } = options;
  return {
    step: {
      tenant: 'acme',
      flowId: 'flow-1',
      runId: 'run-1',
      flow: 'shop/orders:1.0.0',
      stepId: '/do/0/call',
      blockType: 'http.request',
      idempotencyKey: 'acme:flow-1:/do/0/call:0:0',
      attempt: 1,
      idempotent: false,
      ...step,
    },
    ports: ports as Ports,
    signal,
    deadline: Date.now() + timeoutMs,
    fence: options.fence ?? new AttemptFence(freshFor(3_600_000), signal, async () => freshFor(3_600_000)),
    heartbeats,
    heartbeat: (details) => heartbeats.push(details),
    lastHeartbeat: undefined,
  };
}

/** What a promise is rejected with; fails where it is not a {@link BlockFailure}. */
export async function failureOf(promise: Promise<unknown>): Promise<BlockFailure> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome && outcome.error instanceof BlockFailure) return outcome.error;
  if ('error' in outcome) throw outcome.error;
  throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`);
}
