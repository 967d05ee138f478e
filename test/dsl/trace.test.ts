import { parseTraceHeader, spanIdOf, traceHeaderOf } from '../../src/dsl/trace';

const RUN = '01a209e6-56f0-7c44-9985-1cb3130118d1';
const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('ids of spans are those of their run: each number another, the same again, another run others', () => {
  expect(spanIdOf(RUN, 0)).toBe('99851cb3130118d1');
  const ids = Array.from({ length: 10_000 }, (_, number) => spanIdOf(RUN, number));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true);
  expect(spanIdOf(RUN, 4_294_967_295)).toMatch(/^99851cb3[0-9a-f]{8}$/);
  expect(ids).not.toContain(spanIdOf('01a209e6-56f0-7c44-8985-1cb3130118d1', 0));
});

test.each<[string, object | undefined]>([
  [`00-${ID}-${SPAN}-01`, { id: ID, span: SPAN, sampled: true }],
  [`00-${ID}-${SPAN}-03`, { id: ID, span: SPAN, sampled: true }],
  [`00-${ID}-${SPAN}-00`, { id: ID, span: SPAN }],
  [` 00-${ID}-${SPAN}-01 `, { id: ID, span: SPAN, sampled: true }],
  [`01-${ID}-${SPAN}-01-more`, { id: ID, span: SPAN, sampled: true }],
  [`00-${ID}-${SPAN}-01-more`, undefined],
  [`ff-${ID}-${SPAN}-01`, undefined],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
  [`00-${ID}-${'0'.repeat(16)}-01`, undefined],
  [`00-${ID.toUpperCase()}-${SPAN}-01`, undefined],
  [`00-${ID}-${SPAN}`, undefined],
  ['', undefined],
])('reads the traceparent %j', (traceparent, expected) => {
  expect(parseTraceHeader({ traceparent })).toEqual(expected);
});

test.each([undefined, null, 'text', 7, [], { traceparent: 7 }, { traceparent: null }])(
  'reads nothing from %j',
  (header) => {
    expect(parseTraceHeader(header)).toBeUndefined();
  },
);

test('keeps a tracestate that is one short line, and nothing else', () => {
  const traceparent = `00-${ID}-${SPAN}-01`;
  expect(parseTraceHeader({ traceparent, tracestate: 'a=1,b=2' })?.state).toBe('a=1,b=2');
  for (const tracestate of ['', 'a=1\r\nx: y', 'ü', 'a'.repeat(513), 7]) {
    expect(parseTraceHeader({ traceparent, tracestate })).toEqual({ id: ID, span: SPAN, sampled: true });
  }
});

test('writes what it reads', () => {
  for (const header of [
    { traceparent: `00-${ID}-${SPAN}-01`, tracestate: 'a=1' },
    { traceparent: `00-${ID}-${SPAN}-00` },
  ]) {
    const context = parseTraceHeader(header);
    expect(context && traceHeaderOf(context)).toEqual(header);
  }
});
