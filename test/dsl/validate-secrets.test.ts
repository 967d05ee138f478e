import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { secretReferences } from '../../src/dsl/expressions/secret-references';
import type { CallPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, validFlow } from './marked-flow';

const USE = 'use: { secrets: [token, db, my-key] }\n';
const ELSEWHERE = 'a secret cannot stand here, where its value would stay readable';
const call = (headers: string): string =>
  `- a: { call: http, with: { method: get, endpoint: http://x.test, headers: ${headers} } }`;
const oauth2 = (properties: string): string =>
  `- a: { call: http, with: { method: get, endpoint: { uri: http://x.test, authentication: { ${properties} } } } }`;

describe('secrets in expressions', () => {
  it.each([
    ['alone', "{ a: '${ secrets.token }' }"],
    ['in text', "{ a: 'Bearer ${ secrets.token }' }"],
    ['joined with +', '{ a: \'${ "Bearer " + secrets.token }\' }'],
    ['of an odd name', '{ a: \'${ secrets["my-key"] }\' }'],
    ['by a key inside', "{ a: '${ secrets.db.password }', b: '${ secrets.db.user }' }"],
    ['chosen', '{ a: \'${ data.isTest ? "none" : secrets.token }\' }'],
    ['as an option', '{ a: \'${ secrets.?token.orValue("none") }\' }'],
  ])('may stand in the arguments of a call: %s', (_, headers) => {
    expect(validateFlowText(flowText(call(headers), USE)).problems).toEqual([]);
  });

  it('may stand in input.from of a call, as OWS has it', () => {
    const task =
      '- a: { call: fs.put, input: { from: { t: "${ secrets.token }" } }, with: { path: p, content: "${ data.t }" } }';
    expect(validateFlowText(flowText(task, USE)).problems).toEqual([]);
  });

  it('may stand in a reusable authentication', () => {
    const use = "use: { secrets: [token], authentications: { shop: { bearer: { token: '${ secrets.token }' } } } }\n";
    expect(validateFlowText(flowText(oauth2('use: shop'), use)).problems).toEqual([]);
  });

  it.each([
    ['set', "- a: { set: { b: «'${ secrets.token }' } }"],
    ['if', '- a: { if: «secrets.token == "x", wait: PT1S }'],
    ['a switch', '- a: { switch: [{ b: { when: «secrets.token == "x", then: end } }] }'],
    ['for.in', '- a: { for: { in: «secrets.token }, do: [{ b: { wait: PT1S } }] }'],
    ['while', '- a: { for: { in: data }, while: «secrets.token == "x", do: [{ b: { wait: PT1S } }] }'],
    ['wait', "- a: { wait: «'${ secrets.token }' }"],
    ['raise', "- a: { raise: { error: { type: t, status: 400, detail: «'${ secrets.token }' } } }"],
    ['a human step', "- a: { call: human.approval, with: { title: «'${ secrets.token }' } }"],
    ['input.from of a group', '- a: { input: { from: «secrets.token }, do: [{ b: { wait: PT1S } }] }'],
    ['output.as', '- a: { wait: PT1S, output: { as: «secrets.token } }'],
    ['export.as', '- a: { wait: PT1S, export: { as: «secrets.token } }'],
    ['a summary', "- a: { call: fs.list, metadata: { summary: «'${ secrets.token }' } }"],
    ['a timeout', "- a: { call: fs.list, timeout: { after: «'${ secrets.token }' } }"],
    ['catch.when', '- a: { try: [{ b: { wait: PT1S } }], catch: { when: «secrets.token == "x" } }'],
  ])('may not stand in %s', (_, tasks) => {
    expectProblem(flowText(tasks, USE), 'BLW_SECRET_PLACE', `secrets.token: ${ELSEWHERE}`);
  });

  it('may not stand in the input and the output of the flow', () => {
    expectProblem(
      flowText('- a: { wait: PT1S }', `${USE}input: { from: «secrets.token }\n`),
      'BLW_SECRET_PLACE',
      ELSEWHERE,
    );
    expectProblem(
      flowText('- a: { wait: PT1S }', `${USE}output: { as: «secrets.token }\n`),
      'BLW_SECRET_PLACE',
      ELSEWHERE,
    );
  });

  it.each([
    ['undeclared', 'BLW_REF_UNKNOWN', 'use.secrets has no "tokn"; did you mean "token"?', 'secrets.tokn'],
    ['as a whole', 'BLW_SECRET_PLACE', 'are read by their names', 'toJson(secrets)'],
    ['by a computed name', 'BLW_SECRET_PLACE', 'never by a computed name', 'secrets[data.name]'],
    ['compared', 'BLW_SECRET_PLACE', 'cannot look into one', 'secrets.token == data.t ? "a" : "b"'],
    ['in a function', 'BLW_SECRET_PLACE', 'cannot look into one', 'secrets.token.startsWith("x") ? "a" : "b"'],
    ['measured', 'BLW_SECRET_PLACE', 'cannot look into one', 'string(size(secrets.token))'],
  ])('are refused: %s', (_, code, message, expression) => {
    expectProblem(flowText(call(`{ a: «'\${ ${expression} }' }`), USE), code, message);
  });

  it('are refused as a whole and by keys in one step', () => {
    const task =
      "- a: «{ call: sql.query, with: { database: d, statement: s, parameters: ['${ secrets.db }', '${ secrets.db.user }'] } }";
    expectProblem(flowText(task, USE), 'BLW_SECRET_PLACE', 'secrets.db is used as a whole and by its keys in one step');
  });

  it('explains why there is no authorization', () => {
    expectProblem(
      flowText("- a: { set: { b: «'${ authorization.scheme }' } }"),
      'BLW_EXPR_SYNTAX',
      'its parameter is a credential',
    );
  });

  it('are declared as a list of names, each once', () => {
    expectProblem(
      flowText('- a: { wait: PT1S }', 'use: { secrets: «{} }\n'),
      'BLW_VALUE_INVALID',
      'use.secrets: expected a list',
    );
    for (const [name, hint] of [
      ['globex/shop', "; the secret of the flow's own tenant is found by its name alone"],
      ['a=b', ''],
      ['"a b"', ''],
    ] as const) {
      const got = `use.secrets: got "${name.replaceAll('"', '')}", expected a name of at most 128 characters without "/", "=" and spaces${hint}`;
      expectProblem(flowText('- a: { wait: PT1S }', `use: { secrets: [«${name}] }\n`), 'BLW_VALUE_INVALID', got);
    }
    expectProblem(flowText('- a: { wait: PT1S }', 'use: { secrets: [a, «a] }\n'), 'BLW_NAME_DUPLICATE', '"a" twice');
    expectProblem(
      flowText('- a: { wait: PT1S }', 'use: { secrets: [«5] }\n'),
      'BLW_VALUE_INVALID',
      'use.secrets: got a number',
    );
  });
});

describe('secrets in jq and JSONata', () => {
  it.each([
    ['jq', '.a + $secrets.token', [['token']]],
    ['jq', '$secrets["my-key"] + $secrets."other key"', [['my-key'], ['other key']]],
    ['jq', '"Bearer \\($secrets.db.password)"', [['db', 'password']]],
    ['jsonata', '$secrets.db.`pass word` & $secrets.token', [['db', 'pass word'], ['token']]],
    ['jsonata', '$uppercase($workflow.input.secrets.token)', []],
  ] as const)('are found by their names in the text of %s: %s', (language, expression, paths) => {
    expect(secretReferences(expression, language)).toEqual({ paths });
  });

  it.each(['$secrets', '$secrets | keys', '$secrets[.name]'])('are refused as a whole: %s', (expression) => {
    expect(secretReferences(expression, 'jq').problem).toContain('never as a whole');
  });
});

describe('the plan', () => {
  it('has the names of the secrets of a step, and where policies go', () => {
    const use = 'use: { secrets: [token, shop], authentications: { shop: { basic: { use: shop } } } }\n';
    const task = `- a:
    call: http
    input: { from: '\${ {"id": data.id, "t": secrets.token} }' }
    with:
      method: post
      endpoint: { uri: 'http://x.test/{id}', authentication: { use: shop } }
      body: { a: '\${ secrets.token }', b: '\${ secrets.token + "x" }' }`;
    const [plan] = planFlow(validFlow(flowText(task, use))).tasks;
    expect((plan as CallPlan).secrets).toEqual({
      paths: [['token']],
      policies: [{ at: ['endpoint', 'authentication', 'basic'], name: 'shop' }],
    });
  });

  it('has none where a step uses none', () => {
    const [plan] = planFlow(validFlow(flowText(call('{ a: b }'), USE))).tasks;
    expect(plan).not.toHaveProperty('secrets');
  });

  it('expands {name} in the authority of a policy', () => {
    const policy =
      "oauth2: { authority: 'http://x.test/{realm}', grant: client_credentials, client: { authentication: none } }";
    const [plan] = planFlow(validFlow(flowText(oauth2(policy)))).tasks;
    expect(JSON.stringify(plan)).toContain('{"uri":["http://x.test/",{"variable":"realm"}]}');
  });
});

describe('authentication', () => {
  const AUTHORITY = 'authority: http://a.test';
  const CREDENTIALS = `${AUTHORITY}, grant: client_credentials`;
  const CLIENT = 'client: { id: a, secret: b }';
  it.each([
    'basic: { username: a, password: b }',
    'digest: { username: a, password: b }',
    'bearer: { token: "${ data.t }" }',
    'basic: { use: token }',
    'bearer: { use: token }',
    'digest: { use: token }',
    'oauth2: { use: token }',
    'oidc: { use: token }',
    `oauth2: { ${CREDENTIALS}, ${CLIENT}, endpoints: { token: /t, revocation: /r, introspection: /i } }`,
    `oidc: { ${CREDENTIALS}, ${CLIENT}, scopes: [a], audiences: [b], issuers: [c], request: { encoding: application/json } }`,
    `oauth2: { ${AUTHORITY}, grant: password, username: a, password: b, client: { authentication: none } }`,
    `oauth2: { ${AUTHORITY}, grant: refresh_token, subject: { token: a, type: refresh_token }, ${CLIENT} }`,
    `oauth2: { ${AUTHORITY}, grant: 'urn:ietf:params:oauth:grant-type:token-exchange', subject: { token: a, type: jwt }, actor: { token: a, type: jwt }, ${CLIENT} }`,
    `oauth2: { ${CREDENTIALS}, client: { id: a, assertion: b, authentication: private_key_jwt } }`,
  ])('takes %s', (policy) => {
    expect(validateFlowText(flowText(oauth2(policy), USE)).problems).toEqual([]);
    const use = `use: { secrets: [token], authentications: { mine: { ${policy} } } }\n`;
    expect(validateFlowText(flowText(oauth2('use: mine'), use)).problems).toEqual([]);
  });

  it.each(
    badRows([
      'BLW_VALUE_INVALID | exactly one of use, basic, bearer, digest, oauth2, oidc | authentication: «{ basic: {}, bearer: {} }',
      'BLW_VALUE_INVALID | exactly one of use, basic | authentication: «{}',
      'BLW_KEY_UNKNOWN | did you mean "bearer"? | authentication: { «baerer: { token: x } }',
      'BLW_REF_UNKNOWN | use.authentications has no "b" | authentication: { use: «b }',
      'BLW_REF_UNKNOWN | use.secrets has no "tokn"; did you mean "token"? | authentication: { basic: { use: «tokn } }',
      'BLW_KEY_UNKNOWN | "username" is not known | authentication: { basic: { use: token, «username: a } }',
      'BLW_KEY_MISSING | basic needs "password" | authentication: { «basic: { username: a } }',
      'BLW_KEY_MISSING | digest needs "username" | authentication: { «digest: { password: a } }',
      'BLW_KEY_MISSING | bearer needs "token" | authentication: { «bearer: {} }',
      'BLW_VALUE_INVALID | password: got a number | authentication: { basic: { username: a, password: «1234 } }',
      'BLW_VALUE_INVALID | oauth2: got a string | authentication: { oauth2: «x }',
      `BLW_KEY_MISSING | oauth2 needs "authority" | authentication: { «oauth2: { grant: client_credentials, ${CLIENT} } }`,
      `BLW_KEY_MISSING | oidc needs "grant" | authentication: { «oidc: { ${AUTHORITY}, ${CLIENT} } }`,
      `BLW_VALUE_INVALID | authority: got "a.test", expected an absolute | authentication: { oauth2: { authority: «a.test, grant: client_credentials, ${CLIENT} } }`,
      `BLW_VALUE_INVALID | grant: got "implicit" | authentication: { oauth2: { ${AUTHORITY}, grant: «implicit, ${CLIENT} } }`,
      `BLW_UNSUPPORTED | needs a person at a browser | authentication: { oauth2: { ${AUTHORITY}, grant: «authorization_code, ${CLIENT} } }`,
      `BLW_KEY_MISSING | grant password needs "password" | authentication: { «oauth2: { ${AUTHORITY}, grant: password, username: a, ${CLIENT} } }`,
      `BLW_KEY_MISSING | grant refresh_token needs "subject" | authentication: { «oauth2: { ${AUTHORITY}, grant: refresh_token, ${CLIENT} } }`,
      `BLW_KEY_MISSING | client.secret is missing | authentication: { oauth2: { ${CREDENTIALS}, «client: { id: a } } }`,
      `BLW_KEY_MISSING | client.assertion is missing | authentication: { oauth2: { ${CREDENTIALS}, «client: { id: a, authentication: private_key_jwt } } }`,
      `BLW_VALUE_INVALID | client.authentication: got "tls" | authentication: { oauth2: { ${CREDENTIALS}, client: { id: a, secret: b, authentication: «tls } } }`,
      `BLW_KEY_UNKNOWN | did you mean "secret"? | authentication: { oauth2: { ${CREDENTIALS}, client: { id: a, secret: b, «secrte: b } } }`,
      `BLW_VALUE_INVALID | request.encoding: got "text/xml" | authentication: { oauth2: { ${CREDENTIALS}, ${CLIENT}, request: { encoding: «text/xml } } }`,
      `BLW_VALUE_INVALID | scopes: expected a list | authentication: { oauth2: { ${CREDENTIALS}, ${CLIENT}, scopes: «api } }`,
      `BLW_KEY_MISSING | subject needs "type" | authentication: { oauth2: { ${CREDENTIALS}, ${CLIENT}, «subject: { token: a } } }`,
      `BLW_KEY_UNKNOWN | "endpoints" is not known | authentication: { oidc: { ${CREDENTIALS}, ${CLIENT}, «endpoints: {} } }`,
    ]),
  )('rejects %s with %s', (text, code, message) => {
    const task = `- a: { call: http, with: { method: get, endpoint: { uri: http://x.test, ${text} } } }`;
    expectProblem(flowText(task, USE), code, message);
  });

  it('says that a client is missing', () => {
    const text = flowText(oauth2(`«oauth2: { ${CREDENTIALS} }`));
    expectProblems(text.replace('«oauth2', '««oauth2'), [
      'BLW_KEY_MISSING client.id is missing',
      'BLW_KEY_MISSING client.secret is missing',
    ]);
  });

  it('does not let a reusable policy use another one', () => {
    const use = 'use: { authentications: { a: { «use: b }, b: { bearer: { token: x } } } }\n';
    expectProblem(flowText('- a: { wait: PT1S }', use), 'BLW_KEY_UNKNOWN', '"use" is not known in authentication');
  });
});

const EXAMPLES = join(__dirname, '../../../shared/ows/examples');
const files = existsSync(EXAMPLES) ? readdirSync(EXAMPLES).filter((file) => file.startsWith('authentication-')) : [];
(files.length === 0 ? describe.skip : describe)('the examples of OWS, where they are at hand', () => {
  it.each(files.length === 0 ? ['none'] : files)('%s has no problem but its language', (file) => {
    const { problems } = validateFlowText(readFileSync(join(EXAMPLES, file), 'utf8'));
    expect(problems.filter(({ code }) => code !== 'BLW_EXPR_LANGUAGE')).toEqual([]);
  });
});
