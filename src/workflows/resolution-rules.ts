import { type DeadLetter, mergePatch, RESOLVE_ACTIONS, type Resolution } from '../dsl/dead-letter';
import { flowError } from '../dsl/errors';
import { isDeeperThan, isJsonObject, isSameJson, type Json, type JsonObject } from '../dsl/json';
import { PLACEHOLDER_PREFIX } from '../dsl/placeholders';
import { shortJson, shortText } from '../dsl/problems';
import { isSealed, MAX_TOKEN_LENGTH } from '../dsl/start';

/** What a step that failed was to be run with. */
export interface FailedCall {
  /** With placeholders for secrets; absent where they could not be made. */
  readonly args?: JsonObject;
  readonly hasSecrets: boolean;
}

export const RESOLUTION_EXAMPLE = '{"id": "/do/0/pay", "action": "retry"}';

const KEYS = ['id', 'failedAt', 'action', 'with', 'input', 'output', 'by', 'comment', 'token'];
const MAX_TEXT_LENGTHS = { id: 4_000, by: 200, comment: 10_000, token: MAX_TOKEN_LENGTH } as const;

/** As deep as a value may be that a step hands on. */
const MAX_DEPTH = 500;

const OWNERS = [
  ['with', 'retry'],
  ['input', 'retry'],
  ['output', 'skip'],
] as const;

const APPROVAL = 'human.approval';

/** What may be said of an approval: nothing of who decides, how many of them, and what a timeout stands for. */
const APPROVAL_KEYS = ['timeout', 'title', 'description'];

/** Where something goes, or as whom. */
const PLACES = ['endpoint', 'document', 'operationId', 'authentication', 'redirect', 'path', 'database'];

/** Reads the argument of `resolve`, which anyone may send. Throws BLW_RESOLUTION_INVALID, and BLW_TOKEN_INVALID. */
export function parseResolution(value: Json): Resolution {
  if (!isJsonObject(value)) throw invalid(`got ${shortJson(value)}, expected an object such as ${RESOLUTION_EXAMPLE}`);
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`unknown key "${shortText(unknown, 50)}", expected ${KEYS.join(', ')}`);
  const { action, token } = value;
  if (!RESOLVE_ACTIONS.some((known) => known === action))
    throw invalid(`action: got ${shortJson(action ?? null)}, expected ${RESOLVE_ACTIONS.join(', ')}`);
  checkTexts(value);
  if (value.failedAt !== undefined && !Number.isSafeInteger(value.failedAt))
    throw invalid(`failedAt: got ${shortJson(value.failedAt)}, expected that of the dead letter, in ms since 1970`);
  if (value.with !== undefined && !isJsonObject(value.with)) throw invalid('with: expected an object, a merge patch');
  for (const [key, owner] of OWNERS) {
    if (value[key] === undefined) continue;
    if (action !== owner) throw invalid(`${key}: belongs to the action ${owner}`);
    if (isDeeperThan(value[key], MAX_DEPTH)) throw invalid(`${key}: nested deeper than ${MAX_DEPTH} levels`);
  }
  if (value.with !== undefined && value.input !== undefined)
    throw invalid('with and input: expected one of them; input makes the arguments anew');
  // Before the update enters history: a token that is not sealed could be read there.
  if (typeof token === 'string' && !isSealed(token))
    throw flowError(
      'BLW_TOKEN_INVALID',
      'token: it is not sealed; use `beamline token seal`, or `beamline dlq … --token-file`',
    );
  return value as unknown as Resolution;
}

function checkTexts(value: JsonObject): void {
  for (const [key, maxLength] of Object.entries(MAX_TEXT_LENGTHS)) {
    const text = value[key];
    if (text === undefined) continue;
    if (typeof text !== 'string') throw invalid(`${key}: expected text`);
    if (text.length > maxLength) throw invalid(`${key}: got ${text.length} characters, expected at most ${maxLength}`);
  }
}

/** Throws BLW_RESOLUTION_INVALID where this may not be done with a dead letter. */
export function checkResolution(resolution: Resolution, letter: DeadLetter, call: FailedCall): void {
  if (letter.block === APPROVAL) checkApproval(resolution, letter);
  if (resolution.action === 'retry') checkRetry(resolution, letter, call);
}

/** Whoever resolves dead letters does not decide in the place of those who are asked, and does not say who these are. */
function checkApproval({ action, with: patch = {}, input }: Resolution, { failedIn }: DeadLetter): void {
  if (action === 'discard') return;
  if (failedIn !== 'run')
    throw invalid('an approval whose arguments or output could not be made can only be discarded');
  if (action === 'skip')
    throw invalid(
      'an approval is not skipped, since that would decide it: retry it, so that people are asked again, or discard it',
    );
  if (input !== undefined)
    throw invalid('input: who decides on an approval may be made of it; retry it as it was, or discard it');
  const key = Object.keys(patch).find((one) => !APPROVAL_KEYS.includes(one));
  if (key !== undefined)
    throw invalid(
      `with: ${shortText(key, 50)} may not be changed; of an approval only ${APPROVAL_KEYS.join(', ')} may`,
    );
}

function checkRetry({ with: patch, input }: Resolution, letter: DeadLetter, call: FailedCall): void {
  if (letter.failedIn === 'output')
    throw invalid(
      'the step is done, and only its output could not be transformed: skip it with an output, or discard it',
    );
  if (patch === undefined) {
    if (letter.failedIn === 'input' && input === undefined)
      throw invalid('its arguments could not be made: send the retry with an input, skip the step, or discard it');
    return;
  }
  if (call.args === undefined) throw invalid('with: its arguments could not be made; send an input');
  checkPatch(patch, call.args, { letter, hasSecrets: call.hasSecrets });
}

/** A statement is never data, and a secret goes nowhere but where the flow sends it. */
function checkPatch(
  patch: JsonObject,
  args: JsonObject,
  { letter, hasSecrets }: { letter: DeadLetter; hasSecrets: boolean },
): void {
  if (letter.block.startsWith('sql.') && !isSameStatement(args, mergePatch(args, patch)))
    throw invalid("with: only the parameters of a statement may be changed, which is the flow's own");
  if (!hasSecrets) return;
  const key = PLACES.find((one) => patch[one] !== undefined);
  if (key !== undefined)
    throw invalid(`with: ${key} may not be changed, since the step uses secrets; send an input instead`);
  const text = JSON.stringify(patch);
  if (text.includes(PLACEHOLDER_PREFIX) || text.includes('***'))
    throw invalid('with: "***" stands for a secret, and is none; leave out what is to stay as it is');
}

/** True where nothing but parameters differs. */
function isSameStatement(left: Json, right: Json): boolean {
  return isSameJson(withoutParameters(left), withoutParameters(right));
}

function withoutParameters(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutParameters);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'parameters');
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutParameters(item ?? null)]));
}

/** BLW_RESOLUTION_INVALID. */
export function invalid(detail: string): Error {
  return flowError('BLW_RESOLUTION_INVALID', `resolve: ${detail}`);
}
