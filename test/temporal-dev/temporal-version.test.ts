import { isAtLeast, isNewEnough, parseTemporalVersion } from '../../temporal-dev/temporal-version';

describe('parseTemporalVersion', () => {
  test.each([
    ['temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)\n', { cli: '1.5.1', server: '1.29.1' }],
    ['temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)', { cli: '0.0.0-DEV', server: '1.29.1' }],
    ['temporal version v1.6.0', { cli: '1.6.0' }],
    ['a notice first\ntemporal version 1.5.1 (Server 1.29.1)', { cli: '1.5.1', server: '1.29.1' }],
  ])('reads %j', (output, expected) => {
    expect(parseTemporalVersion(output)).toEqual(expected);
  });

  test.each(['', 'tctl version 1.18.1', 'temporal version', 'temporal version latest'])(
    'finds none in %j',
    (output) => {
      expect(parseTemporalVersion(output)).toBeUndefined();
    },
  );
});

describe('isNewEnough', () => {
  test.each([
    [{ cli: '1.5.0' }, true],
    [{ cli: '1.5.1', server: '1.29.1' }, true],
    [{ cli: '1.10.0' }, true],
    [{ cli: '2.0.0' }, true],
    [{ cli: '1.4.9', server: '1.29.1' }, false],
    [{ cli: '1.5.0-rc.1' }, false],
    [{ cli: '0.13.2' }, false],
    // Built from source: judged by its server.
    [{ cli: '0.0.0-DEV', server: '1.29.1' }, true],
    [{ cli: '0.0.0-DEV', server: '1.28.3' }, false],
    [{ cli: '0.0.0-DEV' }, false],
  ])('judges %j: %p', (version, expected) => {
    expect(isNewEnough(version)).toBe(expected);
  });
});

test.each([
  ['1.26.8', '1.23', true],
  ['1.23', '1.23', true],
  ['1.22.12', '1.23', false],
])('compares %s with %s: %p', (version, minimum, expected) => {
  expect(isAtLeast(version, minimum)).toBe(expected);
});
