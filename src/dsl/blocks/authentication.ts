import { getOwn, type JsonObject } from '../json';

/** What is needed and known of an authentication scheme, as JSON Schema. */
export interface SchemeSchema {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, JsonObject>>;
}

const text = (description: string): JsonObject => ({ type: 'string', minLength: 1, description });
const texts = (description: string): JsonObject => ({ type: 'array', items: { type: 'string' }, description });
const object = (properties: Record<string, JsonObject>, required: readonly string[] = []): JsonObject => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...(required.length === 0 ? {} : { required: [...required] }),
});

const token = object({ token: text('The token'), type: text('Its type') }, ['token', 'type']);

const OAUTH2 = {
  authority: text('URL of the authorization server'),
  grant: {
    type: 'string',
    enum: ['client_credentials', 'password', 'refresh_token', 'urn:ietf:params:oauth:grant-type:token-exchange'],
  },
  client: object({
    id: text('Client id'),
    secret: text('Client secret'),
    assertion: text('Signed JWT, for private_key_jwt'),
    authentication: {
      type: 'string',
      enum: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
    },
  }),
  request: object({
    encoding: { type: 'string', enum: ['application/x-www-form-urlencoded', 'application/json'] },
  }),
  issuers: texts('Valid issuers of tokens'),
  scopes: texts('Scopes to ask for'),
  audiences: texts('Audiences to ask for'),
  username: text('For the grant password'),
  password: text('For the grant password'),
  subject: token,
  actor: token,
} satisfies Record<string, JsonObject>;

const credentials: SchemeSchema = {
  required: ['username', 'password'],
  properties: { username: { type: 'string' }, password: { type: 'string' } },
};

const SCHEMES: Readonly<Record<string, SchemeSchema>> = {
  basic: credentials,
  bearer: { required: ['token'], properties: { token: text('Sent as it is') } },
  digest: credentials,
  oauth2: {
    required: ['authority', 'grant'],
    properties: {
      ...OAUTH2,
      endpoints: object({ token: text(''), revocation: text(''), introspection: text('') }),
    },
  },
  oidc: { required: ['authority', 'grant'], properties: OAUTH2 },
};

/** The schema of a scheme's properties (OWS dsl-reference, "Authentication"); undefined where there is no such scheme. */
export function findScheme(name: string): SchemeSchema | undefined {
  return getOwn(SCHEMES as unknown as JsonObject, name) as SchemeSchema | undefined;
}

/** JSON Schema of `authentication` as an activity gets it: one scheme, names and secrets resolved. */
export const AUTHENTICATION_SCHEMA: JsonObject = {
  type: 'object',
  description: '`basic`, `bearer`, `digest`, `oauth2` or `oidc`, or `use: NAME` for one of `use.authentications`',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: Object.fromEntries(
    Object.entries(SCHEMES).map(([name, { required, properties }]) => [name, object({ ...properties }, required)]),
  ),
};
