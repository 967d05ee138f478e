import { endpointsOf, parseEndpoint } from '../../../src/cli/top/endpoints';

test.each([
  ['127.0.0.1:9090', '127.0.0.1:9090', 'http://127.0.0.1:9090'],
  ['worker-1.internal:80', 'worker-1.internal:80', 'http://worker-1.internal:80'],
  ['constructor:80', 'constructor:80', 'http://constructor:80'],
  ['9091', '127.0.0.1:9091', 'http://127.0.0.1:9091'],
  ['0.0.0.0:9090', '127.0.0.1:9090', 'http://127.0.0.1:9090'],
  ['[::]:9090', '[::1]:9090', 'http://[::1]:9090'],
  ['[2001:db8::1]:9090', '[2001:db8::1]:9090', 'http://[2001:db8::1]:9090'],
  ['https://worker.example/w1/', 'https://worker.example/w1/', 'https://worker.example/w1'],
])('takes %s', (text, name, url) => {
  expect(parseEndpoint(text)).toEqual([{ name, url, isNamed: true }]);
});

test.each(['', 'worker', 'worker:', 'worker:0', 'worker:70000', 'ftp://worker:1', 'a b:1', 'user@worker:1', 'http://'])(
  'refuses "%s"',
  (text) => {
    expect(() => parseEndpoint(text)).toThrow(/expected HOST:PORT/);
  },
);

test('several add up; without any, that of the environment counts, then the usual one', () => {
  const both = parseEndpoint('b:2', parseEndpoint('a:1'));
  expect(both.map(({ name }) => name)).toEqual(['a:1', 'b:2']);
  const env = { BEAMLINE_PROMETHEUS_ENDPOINT: '0.0.0.0:9191' };
  expect(endpointsOf(both, { env })).toBe(both);
  expect(endpointsOf(undefined, { env })).toEqual([
    { name: '127.0.0.1:9191', url: 'http://127.0.0.1:9191', isNamed: true },
  ]);
  expect(endpointsOf(undefined, { env: {} })).toEqual([
    { name: '127.0.0.1:9090', url: 'http://127.0.0.1:9090', isNamed: false },
  ]);
});
