import { READ_MODES } from '../events/cloud-event';
import { isJsonObject } from '../json';
import { EVENT_URIS } from '../planning/plan-events';
import type { TaskSite } from './check-context';
import { checkVariable } from './check-control';
import { checkAttributes, checkStrategy } from './check-event-strategy';
import { checkTransformation } from './check-transformation';
import { checkUriVariables } from './check-uri';
import { withVariables } from './scope';

/** Names of attributes that CloudEvents 1.0 allows. */
const ATTRIBUTE_NAME = /^(?:[a-z0-9]+|data_base64)$/;

/** Parts of an event that stand higher than they should. */
function eventHabit(advice: string): Readonly<Record<string, string>> {
  const keys = ['type', 'source', 'subject', 'data', 'with', 'event', 'events', 'one', 'any', 'all'];
  return Object.fromEntries(keys.map((key) => [key, advice]));
}

/** What belongs to the task, beside `listen`. */
const BESIDE_LISTEN = Object.fromEntries(
  ['foreach', 'timeout', 'then', 'if', 'input', 'output', 'export', 'metadata'].map((key) => [
    key,
    `write it beside listen: { listen: { to: … }, ${key}: … }`,
  ]),
);

/** OWS dsl-reference, "Emit". */
export function checkEmit({ task, path, scope, context }: TaskSite): void {
  const { checker, expressions } = context;
  const eventPath = [...path, 'emit', 'event'];
  const emit = checker.shaped(task.emit, [...path, 'emit'], 'emit', {
    required: ['event'],
    example: '{ event: { with: { type: … } } }',
    habits: { advice: eventHabit('write emit: { event: { with: { type: …, data: … } } }'), standsFor: 'event' },
  });
  if (emit?.event === undefined) return;
  const event = checker.shaped(emit.event, eventPath, 'emit: event', { required: ['with'] });
  if (event?.with === undefined) return;
  const withPath = [...eventPath, 'with'];
  const attributes = checker.object(event.with, withPath, 'with');
  if (attributes === undefined) return;
  if (attributes.type === undefined) checker.report('BLW_KEY_MISSING', withPath, 'with needs "type"', 'key');
  for (const name of Object.keys(attributes)) {
    if (ATTRIBUTE_NAME.test(name)) continue;
    const message = `"${name}" cannot be an attribute of an event: CloudEvents allows lower-case letters and digits; put other things under data`;
    checker.report('BLW_KEY_UNKNOWN', [...withPath, name], message, 'key');
  }
  for (const name of EVENT_URIS) checkUriVariables(attributes[name], [...withPath, name], checker);
  checkAttributes(attributes, withPath, { checker, expressions, scope });
}

/** OWS dsl-reference, "Listen". */
export function checkListen(site: TaskSite): void {
  const { task, path, scope, context } = site;
  const { checker, expressions } = context;
  const listenPath = [...path, 'listen'];
  const listen = checker.shaped(task.listen, listenPath, 'listen', {
    required: ['to'],
    optional: ['read'],
    example: '{ to: { one: { with: { type: … } } } }',
    habits: {
      advice: {
        ...eventHabit('write listen: { to: { one: { with: { type: … } } } }'),
        until: 'write it beside any: listen: { to: { any: […], until: … } }',
        ...(isJsonObject(task.listen) && task.listen.to !== undefined ? BESIDE_LISTEN : {}),
      },
      standsFor: 'to',
    },
  });
  checker.oneOf(listen?.read, [...listenPath, 'read'], 'listen: read', READ_MODES);
  if (listen?.to !== undefined) checkStrategy(listen.to, [...listenPath, 'to'], { checker, expressions, scope });
  if (task.foreach !== undefined) checkForeach(site);
}

/** OWS dsl-reference, "Subscription Iterator". */
function checkForeach({ task, path, scope, context, checkList }: TaskSite): void {
  const { checker } = context;
  const at = [...path, 'foreach'];
  const iterator = checker.shaped(task.foreach, at, 'foreach', {
    optional: ['item', 'at', 'do', 'output', 'export'],
  });
  if (iterator === undefined) return;
  const item = checkVariable(iterator.item, [...at, 'item'], { what: 'foreach: item', fallback: 'item' }, checker);
  const index = checkVariable(iterator.at, [...at, 'at'], { what: 'foreach: at', fallback: 'index' }, checker);
  if (item === index) {
    const message = `foreach: the event and its index are both called "${item}"`;
    checker.report('BLW_VALUE_INVALID', [...at, iterator.at === undefined ? 'item' : 'at'], message);
  }
  const inner = withVariables(scope, item, index);
  if (iterator.do !== undefined) checkList({ value: iterator.do, path: [...at, 'do'], scope: inner });
  checkTransformation(iterator.output, 'as', { path: [...at, 'output'], scope: inner, place: 'taskOutput' }, context);
  checkTransformation(iterator.export, 'as', { path: [...at, 'export'], scope: inner, place: 'export' }, context);
}
