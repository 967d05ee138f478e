import { BLOCK_SPECS } from '../block-registry';
import type { BlockSpec } from '../block-spec';
import { AUTHENTICATION_SCHEMA } from '../blocks/authentication';
import { httpRequest } from '../blocks/http-request';
import { humanApproval } from '../blocks/human-approval';
import { scriptRun } from '../blocks/script';
import type { Json, JsonObject } from '../json';
import { UNSUPPORTED_CALLS } from '../validation/check-call';
import { acceptExpressions, acceptInside, closed, ref, text, when } from './value-schemas';

/** Arguments that documents may write in more ways than blocks get them. */
const WRITTEN_OTHERWISE: ReadonlyMap<Json, JsonObject> = new Map<Json, JsonObject>([
  [AUTHENTICATION_SCHEMA, ref('authentication')],
  [argumentOf(httpRequest, 'endpoint'), ref('endpoint')],
  [
    argumentOf(scriptRun, 'timeout'),
    ref('duration', 'CPU time that the script may use, at most PT5M; PT5S where it is left out'),
  ],
  [argumentOf(humanApproval, 'timeout'), ref('duration', 'How long to wait; forever where it is left out')],
]);

const BLOCK_NAMES = BLOCK_SPECS.map(({ call }) => call);

function argumentOf(spec: BlockSpec, name: string): Json {
  return (spec.arguments.properties as JsonObject)[name] ?? null;
}

/** A task that calls a block or a function; `base` are the properties of every task. */
export function callTaskSchema(base: JsonObject): JsonObject {
  const { properties, ...rest } = closed({ ...base, call: CALL, with: { type: 'object' } }, ['call']);
  return {
    ...rest,
    description: 'Calls a block, with its arguments under `with`, or a function',
    properties: properties as JsonObject,
    allOf: [
      ...BLOCK_SPECS.map((spec) => when(callIs({ const: spec.call }), blockCall(spec))),
      when(callIs({ enum: BLOCK_NAMES }), {}, FUNCTION_CALL),
    ],
  };
}

function callIs(call: JsonObject): JsonObject {
  return { required: ['call'], properties: { call } };
}

const CALL: JsonObject = {
  type: 'string',
  anyOf: [
    {
      enum: BLOCK_NAMES,
      enumDescriptions: BLOCK_SPECS.map(({ summary }) => summary),
      markdownEnumDescriptions: BLOCK_SPECS.map(blockText),
    },
    // A function of `use.functions`, or name:version@catalog.
    { pattern: `^(?!(?:${UNSUPPORTED_CALLS.join('|')})$)(?![A-Za-z]+://).` },
  ],
};

function blockCall(spec: BlockSpec): JsonObject {
  const { required } = spec.arguments;
  return {
    ...(required === undefined ? {} : { required: ['with'] }),
    properties: {
      call: { description: spec.summary, markdownDescription: blockText(spec) },
      with: ref(argumentsName(spec)),
      metadata: ref('callMetadata'),
    },
  };
}

const FUNCTION_CALL: JsonObject = {
  properties: {
    call: { description: 'A function of `use.functions`, or of a catalog: name:version@catalog' },
    with: { type: 'object', description: "The function's arguments" },
    metadata: ref('otherMetadata'),
  },
};

/** The definitions that {@link callTaskSchema} refers to. */
export function callDefinitions(): JsonObject {
  return {
    ...Object.fromEntries(BLOCK_SPECS.map((spec) => [argumentsName(spec), argumentsSchema(spec)])),
    authentication: { ...policySchema(['use']), description: String(AUTHENTICATION_SCHEMA.description) },
    reusableAuthentication: { ...policySchema([]), description: 'Who asks: one of the schemes' },
    endpoint: ENDPOINT,
  };
}

/** Arguments as a document may have them: with expressions, and what is written otherwise. */
function argumentsSchema(spec: BlockSpec): JsonObject {
  const schema = acceptInside(spec.arguments, WRITTEN_OTHERWISE);
  return { ...schema, description: `Arguments of ${spec.call}: ${lowerFirst(spec.summary)}` };
}

function argumentsName({ call }: BlockSpec): string {
  return `${call.replace(/\.(.)/g, (_, letter: string) => letter.toUpperCase())}Arguments`;
}

/** Text, or `{ uri, authentication }`. A text with an expression in it is one as a whole (check-call.ts, `checkUriTemplate`). */
const URI: JsonObject = {
  type: 'string',
  pattern: '^(?:[Hh][Tt][Tt][Pp][Ss]?://|\\{)(?![\\s\\S]*\\$\\{)|^\\s*\\$\\{[\\s\\S]*\\}\\s*$',
  patternErrorMessage: 'Expected an absolute URL such as https://example.com/orders/{id}, or one expression ${ … }',
};

const ENDPOINT: JsonObject = {
  description: 'An absolute http or https URL, in which {name} is a property of the input; or { uri, authentication }',
  ...URI,
  ...closed({ uri: { ...URI, description: 'The URL' }, authentication: ref('authentication') }, ['uri']),
  type: ['string', 'object'],
};

/** A policy of one of the schemes, inline or from a secret, or the name of a policy. */
function policySchema(others: readonly 'use'[]): JsonObject {
  const schemes = Object.entries(AUTHENTICATION_SCHEMA.properties as { [name: string]: JsonObject });
  const properties: JsonObject = {};
  for (const name of others) properties[name] = text('Name of one of use.authentications');
  for (const [name, schema] of schemes) properties[name] = schemeSchema(schema);
  return { ...closed(properties), minProperties: 1, maxProperties: 1 };
}

function schemeSchema(schema: JsonObject): JsonObject {
  const { required = [], properties, ...rest } = acceptExpressions(schema) as { [key: string]: Json };
  return {
    ...rest,
    type: 'object',
    properties: { ...(properties as JsonObject), use: text('Name of a secret (use.secrets) that has the rest') },
    ...when({ required: ['use'] }, { maxProperties: 1 }, { required }),
  };
}

/** A block's page for a hover: links would lead nowhere there. */
function blockText({ call, summary, description }: BlockSpec): string {
  return `\`${call}\`: ${lowerFirst(summary)}\n\n${description.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')}`;
}

function lowerFirst(words: string): string {
  return `${words.charAt(0).toLowerCase()}${words.slice(1)}`;
}
