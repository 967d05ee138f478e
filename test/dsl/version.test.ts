import { RUNTIME_VERSION } from '../../src/dsl/version';
import { PACKAGE_VERSION } from '../../src/worker/package-files';

test('the version that flows see is the one of the package', () => {
  expect(RUNTIME_VERSION).toBe(PACKAGE_VERSION);
});
