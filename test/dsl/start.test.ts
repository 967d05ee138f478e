import { parseStartInput } from '../../src/dsl/start';
import { undecodable } from '../../src/dsl/undecodable';

const FLOW = { document: {}, do: [] };

describe('parseStartInput', () => {
  it.each<[string, unknown, object]>([
    ['only a flow', { flow: FLOW }, { flow: FLOW, input: null, tenant: 'default' }],
    [
      'everything',
      { flow: FLOW, input: [1], tenant: 'acme', priorityKey: 1, requestedBy: 'ada' },
      { flow: FLOW, input: [1], tenant: 'acme', priorityKey: 1, requestedBy: 'ada' },
    ],
    ['a flow by name', { flow: 'shop/order:1.0.0' }, { flow: 'shop/order:1.0.0', input: null, tenant: 'default' }],
    ['the newest version of a flow', { flow: 'shop/order' }, { flow: 'shop/order', input: null, tenant: 'default' }],
    [
      'a dry run',
      { flow: FLOW, mode: 'dry-run', mocks: { pay: { output: 1 } }, waits: 'real', coverage: true },
      {
        flow: FLOW,
        input: null,
        tenant: 'default',
        mode: 'dry-run',
        mocks: { pay: { output: 1 } },
        waits: 'real',
        coverage: true,
      },
    ],
    ['the mode live', { flow: FLOW, mode: 'live' }, { flow: FLOW, input: null, tenant: 'default' }],
    ['an input that is false', { flow: FLOW, input: false }, { flow: FLOW, input: false, tenant: 'default' }],
    [
      'a tenant of 63 characters',
      { flow: FLOW, tenant: 'a'.repeat(63) },
      { flow: FLOW, input: null, tenant: 'a'.repeat(63) },
    ],
    ['a tenant with signs', { flow: FLOW, tenant: '0a.b_c-d' }, { flow: FLOW, input: null, tenant: '0a.b_c-d' }],
  ])('takes %s', (_what, value, start) => {
    expect(parseStartInput(value)).toEqual({ start });
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'got nothing, expected one JSON object {"flow": …'],
    ['null', null, 'got null'],
    ['text', 'flow.yaml', 'got a string'],
    ['a list', [{ flow: FLOW }], 'got an array'],
    ['a payload that cannot be read', undecodable('no codec'), 'the payload cannot be read (no codec), expected JSON'],
    ['an empty object', {}, '"flow" is missing, expected the flow document'],
    ['a name without a namespace', { flow: 'order:1.0.0' }, 'flow: got "order:1.0.0", expected namespace/name:version'],
    ['a version that is none', { flow: 'shop/order:1' }, 'flow: got the version "1", expected a semantic version'],
    ['a name that climbs', { flow: '../shop/order' }, 'expected namespace/name:version'],
    ['a depth that is no number', { flow: FLOW, depth: '0' }, 'depth: got "0", expected nothing'],
    ['a depth below zero', { flow: FLOW, depth: -1 }, 'depth: got -1'],
    ['a flow that is null', { flow: null }, 'flow: got null, expected the flow document'],
    ['a flow that is a list', { flow: [] }, 'flow: got an array'],
    ['a slip', { flow: FLOW, inptu: 1 }, '"inptu" is not known; did you mean "input"?'],
    ['a key of its own', { flow: FLOW, workflowId: 'x' }, '"workflowId" is not known; there are: flow, input, tenant'],
    ['__proto__', JSON.parse('{"flow": {}, "__proto__": {"tenant": "x"}}'), '"__proto__" is not known'],
    ['an empty tenant', { flow: FLOW, tenant: '' }, 'tenant: got "", expected 1 to 63 letters, digits'],
    ['a tenant of 64 characters', { flow: FLOW, tenant: 'a'.repeat(64) }, 'tenant: got "aaa'],
    ['a tenant with a slash', { flow: FLOW, tenant: 'a/b' }, 'tenant: got "a/b"'],
    ['a tenant that climbs', { flow: FLOW, tenant: '../b' }, 'tenant: got "../b"'],
    ['a tenant that begins with a dot', { flow: FLOW, tenant: '.hidden' }, 'tenant: got ".hidden"'],
    ['a tenant with a line end', { flow: FLOW, tenant: 'a\n' }, 'tenant: got "a\\n"'],
    ['a tenant that is null', { flow: FLOW, tenant: null }, 'tenant: got null'],
    ['a tenant that is a number', { flow: FLOW, tenant: 5 }, 'tenant: got 5'],
    ['a tenant that is an object', { flow: FLOW, tenant: { toString: 1 } }, 'tenant: got {"toString":1}'],
    [
      'a priority of 0',
      { flow: FLOW, priorityKey: 0 },
      'priorityKey: got 0, expected a whole number from 1 (first) to 5 (last)',
    ],
    ['a priority of 6', { flow: FLOW, priorityKey: 6 }, 'priorityKey: got 6'],
    ['a priority of 2.5', { flow: FLOW, priorityKey: 2.5 }, 'priorityKey: got 2.5'],
    ['a priority that is text', { flow: FLOW, priorityKey: '1' }, 'priorityKey: got "1"'],
    ['a priority that is null', { flow: FLOW, priorityKey: null }, 'priorityKey: got null'],
    ['an asker without a name', { flow: FLOW, requestedBy: '' }, 'requestedBy: got ""'],
    ['an asker that is an object', { flow: FLOW, requestedBy: {} }, 'requestedBy: got {}'],
    ['a token that is an object', { flow: FLOW, token: { jwt: 'x' } }, 'token: got an object'],
    ['an empty token', { flow: FLOW, token: '' }, 'token: got nothing'],
    ['a token of 64 KiB and one', { flow: FLOW, token: 'x'.repeat(65_537) }, 'token: got 65537 characters'],
    ['a grant that is a number', { flow: FLOW, grant: 1 }, 'grant: got a number'],
    ['a mode of its own', { flow: FLOW, mode: 'dryrun' }, 'mode: got "dryrun", expected "live" or "dry-run"'],
    ['mocks of a live flow', { flow: FLOW, mocks: {} }, 'mocks: is for a dry run only; add "mode": "dry-run"'],
    ['waits of a live flow', { flow: FLOW, mode: 'live', waits: 'real' }, 'waits: is for a dry run only'],
    ['coverage of a live flow', { flow: FLOW, coverage: true }, 'coverage: is for a dry run only'],
    ['no coverage', { flow: FLOW, mode: 'dry-run', coverage: 'yes' }, 'coverage: got "yes", expected true'],
    ['one step of a live flow', { flow: FLOW, only: { step: 'a' } }, 'only: is for a dry run only'],
    ['a step that is text', { flow: FLOW, mode: 'dry-run', only: 'a' }, 'only: got a string, expected {"step"'],
    [
      'a step without a name',
      { flow: FLOW, mode: 'dry-run', only: { step: '' } },
      'only: step: got "", expected the name',
    ],
    [
      'a slip in what is given to a step',
      { flow: FLOW, mode: 'dry-run', only: { step: 'a', variable: {} } },
      'only: "variable" is not known; did you mean "variables"?',
    ],
    [
      'variables in a list',
      { flow: FLOW, mode: 'dry-run', only: { step: 'a', variables: [] } },
      'only: variables: got an array, expected an object by name',
    ],
    [
      'a variable with its dollar',
      { flow: FLOW, mode: 'dry-run', only: { step: 'a', variables: { $item: 1 } } },
      'only: variables: "$item": write the name without the dollar: "item"',
    ],
    ['mocks in a list', { flow: FLOW, mode: 'dry-run', mocks: [] }, 'mocks: got an array, expected an object'],
    ['waits of another kind', { flow: FLOW, mode: 'dry-run', waits: 5 }, 'waits: got 5, expected "skip" or "real"'],
  ])('refuses %s', (_what, value, problem) => {
    expect(parseStartInput(value)).toEqual({ problems: [expect.stringContaining(problem)] });
  });

  it('names everything that is wrong at once', () => {
    const parsed = parseStartInput({ tenant: 5, priorityKey: 9, requestedBy: 1, mode: 'x', extra: 1 });
    expect('problems' in parsed && parsed.problems).toHaveLength(6);
  });

  it('takes a token and a grant as they are', () => {
    const given = { flow: FLOW, token: 'a.b.c.d.e', grant: 'x.y.z' };
    expect(parseStartInput(given)).toMatchObject({ start: { token: 'a.b.c.d.e', grant: 'x.y.z' } });
  });

  it('shows no token and no long text in a message', () => {
    const parsed = parseStartInput({
      flow: 'x'.repeat(10_000),
      token: 'secret-jwt',
      tenant: 'y'.repeat(10_000),
      mode: 'z'.repeat(10_000),
    });
    const text = JSON.stringify(parsed);
    expect(text).not.toContain('secret-jwt');
    expect(text.length).toBeLessThan(800);
  });
});
