import { Counter, Histogram, Registry } from 'prom-client';
import { parsePrometheusText } from '../../../src/cli/top/prometheus-text';

const samplesOf = (text: string) => [...parsePrometheusText(text).values()].flat();

test.each<[string, string, unknown]>([
  ['without labels', 'up 1', { name: 'up', labels: {}, value: 1 }],
  ['with labels', 'a{b="c",d="e f"} 2.5', { name: 'a', labels: { b: 'c', d: 'e f' }, value: 2.5 }],
  ['with no labels in braces', 'a{} 3', { name: 'a', labels: {}, value: 3 }],
  ['with a comma at the end', 'a{b="c",} 4', { name: 'a', labels: { b: 'c' }, value: 4 }],
  ['with blanks', ' a { b = "c" , d="e" }  5  ', { name: 'a', labels: { b: 'c', d: 'e' }, value: 5 }],
  ['with escapes', 'a{b="x\\"y\\\\z\\nw"} 6', { name: 'a', labels: { b: 'x"y\\z\nw' }, value: 6 }],
  ['with braces in a label', 'a{b="}{,="} 7', { name: 'a', labels: { b: '}{,=' }, value: 7 }],
  ['with a timestamp', 'a 8 1395066363000', { name: 'a', labels: {}, value: 8 }],
  ['with an exemplar', 'a{b="c"} 9 # {trace_id="d"} 1 1', { name: 'a', labels: { b: 'c' }, value: 9 }],
  ['as a power', 'a 1.5e+3', { name: 'a', labels: {}, value: 1_500 }],
  ['below nothing', 'a -1', { name: 'a', labels: {}, value: -1 }],
  ['without an end', 'a{le="+Inf"} +Inf', { name: 'a', labels: { le: '+Inf' }, value: Number.POSITIVE_INFINITY }],
  ['below all', 'a -Inf', { name: 'a', labels: {}, value: Number.NEGATIVE_INFINITY }],
  ['that is none', 'a NaN', { name: 'a', labels: {}, value: Number.NaN }],
  ['with a colon', 'job:a:rate 1', { name: 'job:a:rate', labels: {}, value: 1 }],
  [
    'with the name of a prototype',
    'a{__proto__="x"} 1',
    { name: 'a', labels: Object.fromEntries([['__proto__', 'x']]), value: 1 },
  ],
])('reads a metric %s', (_, text, sample) => {
  expect(samplesOf(text)).toEqual([sample]);
});

test('passes over comments and empty lines, on any kind of line end', () => {
  expect(samplesOf('# HELP a b\r\n# TYPE a counter\r\n\r\na 1\r\n# EOF\r\n')).toEqual([
    { name: 'a', labels: {}, value: 1 },
  ]);
  expect(samplesOf('')).toEqual([]);
});

test.each([
  ['no value', 'a{b="c"}'],
  ['an open brace', 'a{b="c" 1'],
  ['a label without quotes', 'a{b=c} 1'],
  ['a text for a value', 'a one'],
  ['something behind the value', 'a 1 2 3'],
  ['no name', '{a="b"} 1'],
  ['a page of HTML', '<html>'],
])('refuses %s, and says where', (_, line) => {
  expect(() => parsePrometheusText(`up 1\n${line}`)).toThrow(/^line 2: got ".*", expected a metric: /);
});

test('reads what prom-client writes', async () => {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: 'c_total', help: 'h', labelNames: ['type'], registers }).inc({ type: 'a"b\\c\nd' }, 3);
  new Histogram({ name: 'h_ms', help: 'h', buckets: [5, 10], registers }).observe(7);
  const page = parsePrometheusText(await registry.metrics());
  expect(page.get('c_total')).toEqual([{ name: 'c_total', labels: { type: 'a"b\\c\nd' }, value: 3 }]);
  expect(page.get('h_ms_bucket')?.map(({ labels: { le }, value }) => [le, value])).toEqual([
    ['5', 0],
    ['10', 1],
    ['+Inf', 1],
  ]);
  expect(page.get('h_ms_sum')?.[0]?.value).toBe(7);
});
