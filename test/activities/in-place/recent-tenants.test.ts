import { RecentTenants } from '../../../src/activities/in-place/recent-tenants';

describe('the tenants of a worker', () => {
  test('are others for ten seconds after their last step', () => {
    let now = 0;
    const tenants = new RecentTenants(() => now);
    expect(tenants.hasOthersThan('acme')).toBe(false);
    tenants.see('acme');
    expect([tenants.hasOthersThan('acme'), tenants.hasOthersThan('other')]).toEqual([false, true]);
    tenants.see('other');
    tenants.see('other');
    expect([tenants.hasOthersThan('acme'), tenants.hasOthersThan('other')]).toEqual([true, true]);
    now = 9_999;
    tenants.see('acme');
    expect([tenants.hasOthersThan('acme'), tenants.hasOthersThan('other')]).toEqual([true, true]);
    now = 10_000;
    expect([tenants.hasOthersThan('acme'), tenants.hasOthersThan('other')]).toEqual([false, true]);
  });
});
