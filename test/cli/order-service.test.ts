import { type OrderService, startOrderService } from '../../src/cli/demo/order-service';

interface Order {
  readonly orderId: string;
  readonly items: readonly object[];
}

describe('the order service of the demo', () => {
  let service: OrderService;
  beforeAll(async () => {
    service = await startOrderService();
  });
  afterAll(() => service.close());

  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(`${service.url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });

  it('listens on this machine only and gives the same order for the same id', async () => {
    expect(service.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const read = async () => (await fetch(`${service.url}/orders/4711`)).json() as Promise<Order>;
    const [first, second] = [await read(), await read()];
    expect(first).toEqual(second);
    expect(first).toMatchObject({ orderId: '4711', customer: { name: expect.any(String), tier: expect.any(String) } });
    expect(first.items.length).toBeGreaterThan(0);
    for (const item of first.items) {
      expect(item).toEqual({ sku: expect.any(String), quantity: expect.any(Number), price: expect.any(Number) });
    }
  });

  it('answers a repeated Idempotency-Key as it did before, and confirms once', async () => {
    const confirm = (key: string) =>
      post('/orders/4711/confirmations', '{"total": 1.5, "approvedBy": ["x"]}', { 'idempotency-key': key });
    const before = service.confirmations.length;
    const [first, again] = [await confirm('key-1'), await confirm('key-1')];
    expect([first.status, again.status]).toEqual([201, 200]);
    const { confirmationId } = (await first.json()) as { confirmationId: string };
    expect(await again.json()).toEqual({ confirmationId });
    expect(service.confirmations.length).toBe(before + 1);
    const other = (await (await confirm('key-2')).json()) as { confirmationId: string };
    expect(other.confirmationId).not.toBe(confirmationId);
    expect(service.confirmations).toContainEqual(expect.objectContaining({ confirmationId, total: 1.5 }));
  });

  it.each([
    ['/orders/4711/confirmations', 'not json', 422],
    ['/orders/4711/confirmations', '{"total": "1"}', 422],
    ['/orders/4711/confirmations', `"${'x'.repeat(70_000)}"`, 422],
    ['/orders/4711', '{}', 405],
    ['/orders/x/confirmations', '{}', 404],
    ['/', '{}', 404],
  ])('refuses POST %s %.20s with %d', async (path, body, status) => {
    const response = await post(path, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: expect.any(String) });
  });
});
