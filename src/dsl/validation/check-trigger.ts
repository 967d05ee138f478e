import type { PreparedTrigger } from '../events/bus-messages';
import { READ_MODES, type ReadMode } from '../events/cloud-event';
import { EXPRESSION_LANGUAGES, type ExpressionLanguage, isExpressionLanguage } from '../expressions/language';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { planStrategy } from '../planning/plan-events';
import { toJsonPointer } from '../problems';
import { undecodableReason } from '../undecodable';
import { checkStrategy } from './check-event-strategy';
import { ExpressionChecker } from './check-expressions';
import { SecretChecker } from './check-secrets';
import { Checker } from './checker';
import { ROOT_SCOPE } from './scope';

/** Part of workflow ids; without a colon, so that no two triggers share one. */
const ID = { regex: /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/, expected: '1 to 200 letters, digits, ".", "_", "-" or "/"' };

const FLOW_NAME = { regex: /^[^/:]+\/[^/:]+(:[^:]+)?$/, expected: '"namespace/name:version"' };

/**
 * Reads a trigger of any origin: `{id, flow, on, read?, input?, language?, grant?}`, where `on` is an event consumption strategy
 * (OWS dsl-reference, "Schedule"). The language of its expressions is the flow's, where that is a document, else
 * `language`; OWS's default is jq. Returns it planned, or everything that is wrong with it.
 */
export function prepareTrigger(value: Json): { readonly trigger: PreparedTrigger } | { readonly problems: string[] } {
  const unreadable = undecodableReason(value);
  if (unreadable !== undefined) return { problems: [`the payload cannot be read (${unreadable}), expected JSON`] };
  const checker = new Checker();
  const trigger = checker.shaped(value, [], 'trigger', {
    required: ['id', 'flow', 'on'],
    optional: ['read', 'input', 'language', 'grant'],
  });
  const language = trigger === undefined ? 'jq' : languageOf(trigger);
  if (trigger !== undefined) checkTrigger(trigger, language, checker);
  if (trigger === undefined || checker.problems.length > 0) {
    return { problems: checker.problems.map(({ path, message }) => `${toJsonPointer(path)} ${message}`.trim()) };
  }
  const { id, flow, on, read, input, grant } = trigger;
  return {
    trigger: {
      id: String(id),
      flow: flow as Json,
      on: planStrategy(on as JsonObject, language as ExpressionLanguage),
      language: language as ExpressionLanguage,
      read: (read as ReadMode | undefined) ?? 'data',
      ...(input === undefined ? {} : { input }),
      ...(grant === undefined ? {} : { grant: String(grant) }),
    },
  };
}

function languageOf({ flow, language }: JsonObject): string {
  if (language !== undefined) return String(language);
  const evaluate = isJsonObject(flow) ? flow.evaluate : undefined;
  return isJsonObject(evaluate) && evaluate.language !== undefined ? String(evaluate.language) : 'jq';
}

function checkTrigger({ id, flow, on, read, grant }: JsonObject, language: string, checker: Checker): void {
  checker.text(id, ['id'], 'id', ID);
  if (!isJsonObject(flow)) checker.text(flow, ['flow'], 'flow', FLOW_NAME);
  checker.oneOf(language, ['language'], 'language', EXPRESSION_LANGUAGES);
  checker.oneOf(read, ['read'], 'read', READ_MODES);
  checker.text(grant, ['grant'], 'grant');
  if (on === undefined) return;
  const expressions = new ExpressionChecker(
    checker,
    isExpressionLanguage(language) ? language : undefined,
    new SecretChecker(checker, {}, language),
  );
  checkStrategy(on, ['on'], { checker, expressions, scope: ROOT_SCOPE, place: 'workflowInput' }, { isInner: true });
}
