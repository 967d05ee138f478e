import { BLOCK_SPECS } from '../../src/dsl/block-registry';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, validFlow } from './marked-flow';

const REJECTS = 'rejects %s with %s';

function expectInCall(task: string, code: string, message: string): void {
  expectProblem(flowText(`- a: { ${task} }`), code, message);
}

describe('call', () => {
  it.each(
    badRows([
      'BLW_BLOCK_UNKNOWN | there is no block "fs.putt"; did you mean "fs.put"? | call: «fs.putt',
      'BLW_BLOCK_UNKNOWN | did you mean "http"? | call: «http.request',
      'BLW_BLOCK_UNKNOWN | there are: http, http.stream, openapi, fs.put | call: «mail.send',
      'BLW_BLOCK_UNKNOWN | there is no block "constructor" | call: «constructor',
      'BLW_BLOCK_UNKNOWN | there is no block "${ data.block }" | call: «"${ data.block }"',
      'BLW_VALUE_INVALID | call: got a number, expected text | call: «5',
      'BLW_VALUE_INVALID | call: got null | call: «null',
      'BLW_UNSUPPORTED | functions by URL are not supported yet | call: «https://x.test/functions/log.yaml',
      ...['grpc', 'asyncapi', 'mcp', 'a2a'].map(
        (name) => `BLW_UNSUPPORTED | call: ${name} is not supported yet | call: «${name}, with: { a: 1 }`,
      ),
      'BLW_KEY_UNKNOWN | did you mean "with"? | call: fs.list, «wiht: {}',
      'BLW_ARG_INVALID | with: got an array, expected an object of arguments | call: fs.list, with: «[]',
      'BLW_ARG_INVALID | with: got null | call: fs.list, with: «null',
      'BLW_ARG_INVALID | with: got a string | call: fs.list, with: «"${ data }"',
    ]),
  )(REJECTS, expectInCall);

  it('tells a function of use.functions from a block that does not exist', () => {
    expectProblems(
      flowText('- a: { call: mine }\n- b: { call: «yours }', 'use: { functions: { mine: { wait: PT1S } } }\n'),
      ['BLW_BLOCK_UNKNOWN there is no block "yours"'],
    );
  });
});

describe('arguments of blocks', () => {
  const URI = 'endpoint: http://x.test';
  const GET = `method: get, ${URI}`;
  it.each(
    badRows([
      'BLW_ARG_INVALID | http: "method" is missing | call: http, with: «{ endpoint: http://x.test }',
      'BLW_ARG_INVALID | http: "endpoint" is missing | call: http, with: «{ method: get }',
      `BLW_ARG_INVALID | http: "metod" is not known; did you mean "method"? | call: http, with: { ${GET}, «metod: get }`,
      `BLW_ARG_INVALID | http: method: got "fetch", expected one of "get" | call: http, with: { method: «fetch, ${URI} }`,
      'BLW_ARG_INVALID | endpoint: got a number, expected object | call: http, with: { method: get, endpoint: «5 }',
      'BLW_ARG_INVALID | endpoint: "uri" is missing | call: http, with: { method: get, endpoint: «{} }',
      'BLW_ARG_INVALID | "url" is not known; did you mean "uri"? | call: http, with: { method: get, endpoint: { uri: http://x.test, «url: x } }',
      `BLW_ARG_INVALID | headers: got a string, expected object | call: http, with: { ${GET}, headers: «x }`,
      `BLW_ARG_INVALID | headers.accept: got an array | call: http, with: { ${GET}, headers: { accept: «[] } }`,
      `BLW_ARG_INVALID | query.q: got an object | call: http, with: { ${GET}, query: { q: «{} } }`,
      `BLW_ARG_INVALID | output: got "json", expected one of "content", "response", "raw" | call: http, with: { ${GET}, output: «json }`,
      `BLW_ARG_INVALID | redirect: got a string, expected boolean | call: http, with: { ${GET}, redirect: «'no' }`,
      'BLW_ARG_INVALID | {id,name} in a URI: expected the name of a property | call: http, with: { method: get, endpoint: «"http://x.test/{id,name}" }',
      'BLW_ARG_INVALID | {+path} in a URI | call: http, with: { method: get, endpoint: { uri: «"http://x.test{+path}" } }',
      'BLW_ARG_INVALID | {} in a URI | call: http, with: { method: get, endpoint: «"http://x.test/{}" }',
      ...['query', 'execute'].flatMap((name) => [
        `BLW_ARG_INVALID | sql.${name}: statement: got an expression, expected SQL as it is to be run | call: sql.${name}, with: { database: d, statement: «"\${ data.sql }" }`,
        `BLW_ARG_INVALID | pass data as parameters | call: sql.${name}, with: { database: d, statement: «"SELECT * FROM \${ data.table }" }`,
      ]),
      'BLW_ARG_INVALID | statement: got an expression | call: sql.query, with: { database: d, statement: «"${ \'SELECT 1\' }" }',
      'BLW_ARG_INVALID | statements: got an expression | call: sql.transaction, with: { database: d, statements: «"${ data.list }" }',
      'BLW_ARG_INVALID | statements.1: got an expression | call: sql.transaction, with: { database: d, statements: [{ statement: SELECT 1 }, «"${ data.s }"] }',
      'BLW_ARG_INVALID | statements.0.statement: got an expression | call: sql.transaction, with: { database: d, statements: [{ statement: «"DELETE FROM t WHERE id = ${ data.id }" }] }',
      'BLW_ARG_INVALID | expected a URI such as https://example.com/{id}, or one expression | call: http, with: { method: get, endpoint: «"${ data.base }/orders" }',
      'BLW_ARG_INVALID | or one expression | call: http, with: { method: get, endpoint: { uri: «"http://x.test/${ data.id }" } }',
      'BLW_ARG_INVALID | openapi: "document" is missing | call: openapi, with: «{ operationId: a }',
      'BLW_ARG_INVALID | openapi: "operationId" is missing | call: openapi, with: «{ document: { endpoint: http://x.test } }',
      'BLW_ARG_INVALID | document: got a string, expected object | call: openapi, with: { document: «http://x.test, operationId: a }',
      'BLW_ARG_INVALID | document: "endpoint" is missing | call: openapi, with: { document: «{ name: a }, operationId: a }',
      'BLW_ARG_INVALID | document: "uri" is not known; there are: name, endpoint | call: openapi, with: { document: { endpoint: http://x.test, «uri: b }, operationId: a }',
      'BLW_ARG_INVALID | expected an absolute http or https URL | call: openapi, with: { document: { endpoint: «ftp://x.test }, operationId: a }',
      'BLW_ARG_INVALID | {+a} in a URI | call: openapi, with: { document: { endpoint: { uri: «"http://x.test/{+a}" } }, operationId: a }',
      'BLW_ARG_INVALID | document.endpoint: "url" is not known | call: openapi, with: { document: { endpoint: { uri: http://x.test, «url: a } }, operationId: a }',
      'BLW_REF_UNKNOWN | use.authentications has no "shop" | call: openapi, with: { document: { endpoint: { uri: http://x.test, authentication: { use: «shop } } }, operationId: a }',
      'BLW_REF_UNKNOWN | use.authentications has no "shop" | call: openapi, with: { document: { endpoint: http://x.test }, operationId: a, authentication: { use: «shop } }',
      'BLW_ARG_INVALID | operationId: got "", expected at least 1 character | call: openapi, with: { document: { endpoint: http://x.test }, operationId: «"" }',
      'BLW_ARG_INVALID | parameters: got an array, expected object | call: openapi, with: { document: { endpoint: http://x.test }, operationId: a, parameters: «[] }',
      'BLW_ARG_INVALID | output: got "json" | call: openapi, with: { document: { endpoint: http://x.test }, operationId: a, output: «json }',
      'BLW_ARG_INVALID | fs.put: expected exactly one of content and base64 | call: fs.put, with: «{ path: a }',
      'BLW_ARG_INVALID | exactly one of content and base64 | call: fs.put, with: «{ path: a, content: b, base64: Yg== }',
      'BLW_KEY_UNKNOWN | it has: use, basic, bearer | call: http, with: { method: get, endpoint: { uri: http://x.test, authentication: { «apiKey: x } } }',
      'BLW_REF_UNKNOWN | use.authentications has no "shop" | call: http, with: { method: get, endpoint: { uri: http://x.test, authentication: { use: «shop } } }',
      'BLW_ARG_INVALID | http.stream: "to" is missing | call: http.stream, with: «{ endpoint: http://x.test }',
      `BLW_ARG_INVALID | method: got "put", expected one of "get", "post" | call: http.stream, with: { ${URI}, to: a, method: «put }`,
      `BLW_ARG_INVALID | maxBytes: got 0, expected at least 1 | call: http.stream, with: { ${URI}, to: a, maxBytes: «0 }`,
      `BLW_ARG_INVALID | sha256: got "abc", expected text that matches | call: http.stream, with: { ${URI}, to: a, sha256: «abc }`,
      `BLW_ARG_INVALID | to: got "", expected at least 1 character | call: http.stream, with: { ${URI}, to: «'' }`,
      'BLW_ARG_INVALID | fs.put: "path" is missing | call: fs.put, with: «{ content: a }',
      'BLW_ARG_INVALID | fs.put: path: got a number, expected string | call: fs.put, with: { path: «1, content: a }',
      'BLW_ARG_INVALID | ifMatch: got "latest", expected text that matches | call: fs.put, with: { path: a, content: a, ifMatch: «latest }',
      'BLW_ARG_INVALID | fs.get: "path" is missing | call: «fs.get',
      'BLW_ARG_INVALID | as: got "yaml", expected one of "text", "json", "base64" | call: fs.get, with: { path: a, as: «yaml }',
      'BLW_ARG_INVALID | limit: got 1001, expected at most 1000 | call: fs.list, with: { limit: «1001 }',
      'BLW_ARG_INVALID | limit: got a number, expected integer | call: fs.list, with: { limit: «1.5 }',
      'BLW_ARG_INVALID | fs.list: "path" is not known; did you mean "prefix"? | call: fs.list, with: { «path: a }',
      'BLW_ARG_INVALID | ifMissing: got "skip" | call: fs.stat, with: { path: a, ifMissing: «skip }',
      'BLW_ARG_INVALID | fs.delete: "path" is missing | call: fs.delete, with: «{}',
      'BLW_ARG_INVALID | sql.query: "database" is missing | call: sql.query, with: «{ statement: SELECT 1 }',
      'BLW_ARG_INVALID | parameters: got a string, expected object or array | call: sql.query, with: { database: a, statement: b, parameters: «x }',
      'BLW_ARG_INVALID | maxRows: got 99999, expected at most 10000 | call: sql.query, with: { database: a, statement: b, maxRows: «99999 }',
      'BLW_ARG_INVALID | sql.execute: "statement" is missing | call: sql.execute, with: «{ database: a }',
      'BLW_ARG_INVALID | did you mean "parameters"? | call: sql.execute, with: { database: a, statement: b, «parameter: [1] }',
      'BLW_ARG_INVALID | statements: got [], expected at least 1 item | call: sql.transaction, with: { database: a, statements: «[] }',
      'BLW_ARG_INVALID | statements.1: "statement" is missing | call: sql.transaction, with: { database: a, statements: [{ statement: b }, «{}] }',
      'BLW_ARG_INVALID | statements.0: got a string, expected object | call: sql.transaction, with: { database: a, statements: [«b] }',
      'BLW_ARG_INVALID | human.approval: "title" is missing | call: human.approval, with: «{}',
      'BLW_ARG_INVALID | requiredApprovals: got 0, expected at least 1 | call: human.approval, with: { title: a, requiredApprovals: «0 }',
      'BLW_ARG_INVALID | onTimeout: got "retry", expected one of "fail", "reject", "continue" | call: human.approval, with: { title: a, timeout: P1D, onTimeout: «retry }',
      'BLW_ARG_INVALID | onTimeout needs a timeout | call: human.approval, with: { title: a, «onTimeout: reject }',
      'BLW_ARG_INVALID | assignees: "user" is not known; did you mean "users"? | call: human.approval, with: { title: a, assignees: { «user: [b] } }',
      'BLW_ARG_INVALID | assignees.users: got a string, expected array | call: human.approval, with: { title: a, assignees: { users: «bob } }',
      'BLW_DURATION_INVALID | human.approval: timeout: got "2 days" | call: human.approval, with: { title: a, timeout: «2 days }',
      'BLW_DURATION_INVALID | human.approval: timeout: got a number, expected ISO 8601 text | call: human.approval, with: { title: a, timeout: «10 }',
      'BLW_UNSUPPORTED | metadata.resources has no effect on human.approval | call: human.approval, with: { title: a }, metadata: { «resources: gpu }',
      'BLW_UNSUPPORTED | metadata.retry has no effect on human.approval | call: human.approval, with: { title: a }, metadata: { «retry: {} }',
      'BLW_UNSUPPORTED | metadata.timeout has no effect on human.approval | call: human.approval, with: { title: a }, metadata: { «timeout: PT1H }',
      'BLW_SCHEMA_INVALID | form: type: got "dict" | call: human.approval, with: { title: a, form: { type: «dict } }',
    ]),
  )(REJECTS, expectInCall);

  it('reports every argument that is wrong', () => {
    expectProblems(
      flowText('- a: { call: http, with: { «methode: get, endpoint: http://x.test, headers: «5, redirect: «2 } }'),
      [
        'BLW_ARG_INVALID "methode" is not known; did you mean "method"?',
        'BLW_ARG_INVALID headers: got a number',
        'BLW_ARG_INVALID redirect: got a number',
      ],
    );
  });

  it.each([
    "{ method: '${ data.method }', endpoint: 'http://x.test' }",
    "{ method: get, endpoint: '${ data.uri }' }",
    "{ method: get, endpoint: { uri: '${ data.uri }' } }",
    "{ method: get, endpoint: 'http://x.test', headers: '${ data.headers }', redirect: '${ data.follow }' }",
    "{ method: get, endpoint: 'http://x.test/{order.id}/{order_id}/{a-b}/{%C3%A9}' }",
    '{ method: get, endpoint: \'${ data.base + "/{0,1}" }\' }',
  ])('leaves arguments that are computed to the run: %s', (args) => {
    expect(validateFlowText(flowText(`- a: { call: http, with: ${args} }`)).problems).toEqual([]);
  });

  it('leaves arguments of openapi that are computed to the run', () => {
    const endpoints = ["'${ data.uri }'", "{ uri: '${ data.uri }' }", "'http://x.test/{version}.json'"];
    for (const endpoint of endpoints) {
      const args = `{ document: { endpoint: ${endpoint} }, operationId: '\${ data.id }', parameters: '\${ data.parameters }' }`;
      expect(validateFlowText(flowText(`- a: { call: openapi, with: ${args} }`)).problems).toEqual([]);
    }
  });

  it('checks the literal arguments beside one that is computed', () => {
    expectProblem(
      flowText("- a: { call: fs.get, with: { path: '${ data.path }', as: «xml } }"),
      'BLW_ARG_INVALID',
      'as: got "xml"',
    );
  });

  it.each(BLOCK_SPECS.map((spec) => [spec.call, spec.example]))('takes the example of %s', (_call, example) => {
    validFlow(flowText(example.trimEnd()));
  });

  it.each(BLOCK_SPECS.map((spec) => [spec.call]))('refuses an unknown argument of %s', (call) => {
    const { problems } = validateFlowText(flowText(`- a: { call: ${call}, with: { nonsenseArgument: 1 } }`));
    expect(problems.map(({ message }) => message)).toContainEqual(
      expect.stringContaining(`${call}: "nonsenseArgument" is not known`),
    );
  });
});
