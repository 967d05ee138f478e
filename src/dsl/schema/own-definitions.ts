import type { JsonObject } from '../json';
import type { Definitions } from './ows-definitions';
import { acceptExpressions, closed, DURATION, ref, refused, text } from './value-schemas';

const status: JsonObject = { type: 'integer', minimum: 100, maximum: 599, description: 'Status, 100 to 599' };

/** One of several filters or strategies of events. */
const STRATEGIES: JsonObject = {
  one: ref('eventFilter', 'One event that the filter takes'),
  any: {
    type: 'array',
    items: ref('eventFilter'),
    description: 'An event that one of the filters takes; an empty list takes every event',
  },
  all: { type: 'array', minItems: 1, items: ref('eventFilter'), description: 'One event for each of the filters' },
};
const ONE_STRATEGY: JsonObject[] = Object.keys(STRATEGIES).map((name) => ({ required: [name] }));

const attribute = (description: string): JsonObject => ({
  type: ['string', 'number', 'boolean'],
  minLength: 1,
  description,
});

/** Attributes of an event, or of a filter, which may have values of any simple type and expressions. */
const EVENT: JsonObject = {
  type: 'object',
  description: 'Attributes of the event (CloudEvents 1.0), and its data',
  minProperties: 1,
  properties: {
    id: attribute("The event's id"),
    source: attribute('Where it is from; /namespace/name/version of the flow where it is left out'),
    type: attribute('What kind of event it is, such as com.example.order.placed'),
    time: text('When it happened, RFC 3339 such as 2026-01-31T12:00:00Z'),
    subject: attribute('What it is about'),
    datacontenttype: attribute('Media type of the data'),
    dataschema: attribute('URI of a schema of the data'),
    specversion: { const: '1.0', description: 'Version of CloudEvents' },
    data: { description: 'The data; in a filter, what it must be' },
  },
  additionalProperties: { type: ['string', 'number', 'boolean'], minLength: 1 },
};

/**
 * Definitions of the specification that the engine reads otherwise, or that its schema says in a way of which editors make
 * many errors out of one mistake. Under the specification's names, they take the place of its own.
 */
export function ownDefinitions(): Definitions {
  return {
    duration: DURATION,
    // A URI or an expression in it: what it comes to is known at run time only.
    uriTemplate: { type: 'string', minLength: 1 },
    runtimeExpression: { type: 'string', pattern: '\\$\\{', patternErrorMessage: 'Expected an expression ${ … }' },
    error: {
      description: 'An error (RFC 7807)',
      ...closed(
        {
          type: text('A URI that names the kind of error'),
          status: acceptExpressions(status),
          title: text('What it is, in short'),
          detail: text('What happened this time'),
          instance: text("Where it happened; the step's place where it is left out"),
        },
        ['type', 'status'],
      ),
    },
    errorFilter: {
      description: 'What the error must be, compared as it stands',
      minProperties: 1,
      ...closed({
        type: text('Its type'),
        status,
        instance: text('Where it happened'),
        title: text('Its title'),
        detail: text('Its detail'),
        code: text('Its code, such as BLW_HTTP_STATUS'),
      }),
    },
    eventConsumptionStrategy: {
      description: 'Which events are consumed',
      ...closed({
        ...STRATEGIES,
        until: {
          description: 'With `any`: goes on until an expression holds, or until the events of another strategy came',
          ...closed(STRATEGIES),
          type: ['string', 'object'],
          minLength: 1,
        },
      }),
      oneOf: ONE_STRATEGY,
    },
    eventProperties: EVENT,
    schema: {
      description: 'A JSON Schema',
      ...closed(
        {
          format: { type: 'string', pattern: '^json(:.*)?$', default: 'json', description: 'Only json' },
          document: { type: ['object', 'boolean'], description: 'The JSON Schema, draft 2020-12 or draft 7' },
          resource: refused('schema.resource; put the schema under document'),
        },
        ['document'],
      ),
    },
    catalog: {
      description: "A folder of the worker's catalog",
      ...closed(
        {
          endpoint: {
            description: "A file: URL, or a path below the worker's catalog",
            ...closed({ uri: text('The URL or path') }, ['uri']),
            type: ['string', 'object'],
          },
        },
        ['endpoint'],
      ),
    },
  };
}
