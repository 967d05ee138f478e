import { answersFrom } from '../../../src/dsl/dry-run/mock-table';

describe('answersFrom', () => {
  it('goes on with the list, and repeats the last one', () => {
    const answers = [{ output: 1 }, { output: 2 }];
    expect([0, 1, 2, 50].map((attempt) => answersFrom(answers, attempt)[0])).toEqual([
      { output: 1 },
      { output: 2 },
      { output: 2 },
      { output: 2 },
    ]);
    expect(answersFrom([], 3)).toEqual([]);
  });
});
