import { SharedWork } from '../../src/activities/ports/shared-work';

/** Work that ends when the test says so, by the order in which it began. */
function heldWork() {
  const begun: string[] = [];
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const shared = new SharedWork(async (key) => {
    begun.push(key);
    await new Promise<void>((resolve, reject) => ends.push({ resolve, reject }));
  });
  return { shared, begun, ends };
}

describe('shared work', () => {
  it('is not what had begun before somebody asked, and one run for all that ask meanwhile', async () => {
    const { shared, begun, ends } = heldWork();
    const first = shared.share('a');
    const others = [shared.share('a'), shared.share('a'), shared.share('a')];
    expect(begun).toEqual(['a']);
    ends[0]?.resolve();
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['a', 'a']);
    const next = shared.share('a');
    ends[1]?.resolve();
    await Promise.all(others);
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['a', 'a', 'a']);
    ends[2]?.resolve();
    await next;
  });

  it('begins anew once nothing is under way, and does not wait for what is another thing', async () => {
    const { shared, begun, ends } = heldWork();
    const first = shared.share('a');
    const other = shared.share('b');
    expect(begun).toEqual(['a', 'b']);
    for (const { resolve } of ends) resolve();
    await Promise.all([first, other]);
    const again = shared.share('a');
    expect(begun).toEqual(['a', 'b', 'a']);
    ends[2]?.resolve();
    await again;
  });

  it('fails for all that share it, and for nobody else', async () => {
    const { shared, ends } = heldWork();
    const outcomes = Promise.allSettled([shared.share('a'), shared.share('a'), shared.share('a')]);
    ends[0]?.reject(new Error('the first'));
    await new Promise((resolve) => setImmediate(resolve));
    const after = shared.share('a');
    ends[1]?.reject(new Error('the second'));
    await new Promise((resolve) => setImmediate(resolve));
    ends[2]?.resolve();
    await after;
    const reasons = (await outcomes).map((outcome) =>
      outcome.status === 'rejected' ? String(outcome.reason) : 'done',
    );
    expect(reasons).toEqual(['Error: the first', 'Error: the second', 'Error: the second']);
  });
});
