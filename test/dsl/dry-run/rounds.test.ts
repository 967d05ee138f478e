import type { StepMock } from '../../../src/dsl/dry-run/mock';
import { mockIn } from '../../../src/dsl/dry-run/rounds';

const answered = (output: string): StepMock => ({ answers: [{ output }] });
const outputIn = (mock: StepMock, iteration: string) => {
  const [answer] = mockIn(mock, iteration).answers;
  return answer !== undefined && 'output' in answer ? answer.output : undefined;
};

const THREE: StepMock = { answers: [], rounds: [answered('a'), answered('b'), answered('c')] };
const NESTED: StepMock = {
  answers: [],
  rounds: [answered('a'), { answers: [], rounds: [answered('b'), answered('c')] }],
};

describe('the mock of a round', () => {
  it.each<[string, StepMock, string, string]>([
    ['no loop', THREE, '', 'a'],
    ['an iteration', THREE, '1', 'b'],
    ['the innermost iteration', THREE, '5.1', 'b'],
    ['an iteration after the last round', THREE, '70', 'c'],
    ['a visit', THREE, '~1', 'b'],
    ['a visit in a list below', THREE, '2~2', 'c'],
    ['an iteration of a loop that is visited again', THREE, '~2.0', 'a'],
    ['an iteration, whatever the visit in it', THREE, '1.1~2', 'b'],
    ['an iteration, and the first visit in it', NESTED, '1', 'b'],
    ['an iteration, and the second visit in it', NESTED, '1.1~1', 'c'],
    ['an iteration without rounds of its own', NESTED, '0.1~1', 'a'],
    ['any, where there are no rounds', answered('x'), '3', 'x'],
  ])('of %s', (_, mock, iteration, output) => {
    expect(outputIn(mock, iteration)).toBe(output);
  });
});
