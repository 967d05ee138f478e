import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/dsl/durations';
import type { Json } from '../../src/dsl/json';

describe('parseDuration', () => {
  it.each<[Json, number]>([
    ['PT0S', 0],
    ['PT30S', 30_000],
    [' PT30S\n', 30_000],
    ['PT1M', 60_000],
    ['PT1H30M', 5_400_000],
    ['P1D', 86_400_000],
    ['P1DT1S', 86_401_000],
    ['P2W', 1_209_600_000],
    ['P1W1DT1H1M1.5S', 694_861_500],
    ['PT0.0005S', 1],
    ['PT0.0004S', 0],
    ['P0.5D', 43_200_000],
    ['PT36H', 129_600_000],
    ['P3650D', 315_360_000_000],
    [{ seconds: 30 }, 30_000],
    [{ days: 1, hours: 2, minutes: 3, seconds: 4, milliseconds: 5 }, 93_784_005],
    [{ milliseconds: 0 }, 0],
  ])('reads %j', (value, ms) => {
    expect(parseDuration(value)).toEqual({ ms });
  });

  it.each<[Json, string]>([
    ['', 'got "", expected ISO 8601'],
    ['P', 'expected ISO 8601'],
    ['PT', 'expected ISO 8601'],
    ['P1DT', 'expected ISO 8601'],
    ['30s', 'got "30s", expected ISO 8601 such as PT30S, PT1H30M or P2D'],
    ['pt30s', 'expected ISO 8601'],
    ['PT30', 'expected ISO 8601'],
    ['PT1S1M', 'expected ISO 8601'],
    ['PT1,5S', 'expected ISO 8601'],
    ['PT.5S', 'expected ISO 8601'],
    ['PT١S', 'expected ISO 8601'],
    ['P1H', 'expected ISO 8601'],
    ['P1Y', 'years and months have no fixed length; write days'],
    ['P6M', 'years and months have no fixed length; write days'],
    ['P1Y2M3DT4H', 'years and months have no fixed length'],
    ['-PT5S', 'expected a duration that is not negative'],
    ['PT-5S', 'expected ISO 8601'],
    ['P3651D', 'longer than 10 years'],
    [`PT${'9'.repeat(400)}S`, 'longer than 10 years'],
    [5, 'got a number, expected ISO 8601 text or an object such as { seconds: 30 }'],
    [null, 'expected ISO 8601 text or an object'],
    [true, 'expected ISO 8601 text or an object'],
    [['PT1S'], 'expected ISO 8601 text or an object'],
    [{}, 'expected at least one of days'],
    [{ second: 1 }, '"second" is not known; expected days, hours, minutes, seconds or milliseconds'],
    [{ weeks: 1 }, '"weeks" is not known'],
    [{ constructor: 1 }, '"constructor" is not known'],
    [JSON.parse('{"__proto__": 1}') as Json, '"__proto__" is not known'],
    [{ seconds: -1 }, '"seconds" must be a whole number that is not negative'],
    [{ seconds: 0.5 }, '"seconds" must be a whole number'],
    [{ seconds: '5' }, '"seconds" must be a whole number'],
    [{ seconds: null }, '"seconds" must be a whole number'],
    [{ days: 1e300 }, 'longer than 10 years'],
  ])('refuses %j', (value, problem) => {
    expect(parseDuration(value)).toEqual({ problem: expect.stringContaining(problem) });
  });

  it('cuts a long text in its message', () => {
    expect(JSON.stringify(parseDuration('x'.repeat(100_000))).length).toBeLessThan(200);
  });

  it('reads the two forms alike, and ends on any text', () => {
    const amount = fc.integer({ min: 0, max: 100 });
    fc.assert(
      fc.property(amount, amount, amount, amount, (days, hours, minutes, seconds) => {
        const text = `P${days}DT${hours}H${minutes}M${seconds}S`;
        expect(parseDuration(text)).toEqual(parseDuration({ days, hours, minutes, seconds }));
      }),
    );
    const piece = fc.constantFrom('P', 'T', '1', '.', 'D', 'H', 'M', 'S', 'W', 'Y', '-', ' ');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const parsed = parseDuration(pieces.join(''));
        expect('ms' in parsed ? Number.isInteger(parsed.ms) && parsed.ms >= 0 : parsed.problem.length > 0).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [999.9, '999 ms'],
    [1_000, '1.0 s'],
    [12_340, '12.3 s'],
    [59_999, '59.9 s'],
    [60_000, '1 min 0 s'],
    [245_000, '4 min 5 s'],
    [3_599_999, '59 min 59 s'],
    [3_600_000, '1 h 0 min'],
    [7_380_000, '2 h 3 min'],
    [172_800_000, '48 h 0 min'],
  ])('of %i ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
