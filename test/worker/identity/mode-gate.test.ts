import type { Bearer, Gate } from '../../../src/activities/ports/gate';
import { gateFor } from '../../../src/worker/identity/mode-gate';

const AT = { workflowId: 'flow', runId: 'run' };

/** Knows every flow as one and the same. */
function gateThatKnows(bearer: Bearer): Gate {
  return { recognize: async () => bearer } as unknown as Gate;
}

describe('gateFor', () => {
  it.each<['live' | 'dry-run', Bearer]>([
    ['live', { subject: 'ann' }],
    ['dry-run', { subject: 'ann', isDryRun: true }],
    ['live', {}],
    ['dry-run', {}],
  ])('knows in mode %s a flow of %j', async (mode, bearer) => {
    expect(await gateFor(mode, gateThatKnows(bearer)).recognize({ tenant: 'acme' }, AT)).toEqual(bearer);
  });

  it.each<['live' | 'dry-run', Bearer, string]>([
    ['live', { subject: 'ann', isDryRun: true }, 'it is of a dry-run flow, expected live'],
    ['dry-run', { subject: 'ann' }, 'it is of a live flow, expected dry-run'],
  ])('refuses in mode %s a flow of %j', async (mode, bearer, detail) => {
    await expect(gateFor(mode, gateThatKnows(bearer)).recognize({ tenant: 'acme' }, AT)).rejects.toMatchObject({
      data: { code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining(detail) },
    });
  });
});
