import { isExpressionLanguage } from '../expressions/language';
import { secretReferences } from '../expressions/secret-references';
import { bareExpression, compileTemplate } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { resolveAuthentication } from '../planning/plan-authentication';
import { planSecrets } from '../planning/plan-secrets';
import { shortText } from '../problems';
import { findSecretConflict, secretText } from '../secrets';
import { unknownReference } from './check-reference';
import type { Checker, Path } from './checker';

const ELSEWHERE =
  'a secret cannot stand here, where its value would stay readable in the history; it may stand under `with` and in ' +
  '`input.from` of a call that a worker carries out (not human.approval)';

/** What operators can give a secret as its name (`--secret`). */
const SECRET_NAME = /^[^=/\s]{1,128}$/;

function explainSecretName(name: string): string {
  const hint = name.includes('/') ? "; the secret of the flow's own tenant is found by its name alone" : '';
  return `use.secrets: got "${shortText(name)}", expected a name of at most 128 characters without "/", "=" and spaces${hint}`;
}

/** `use.secrets`: names of secrets (OWS dsl-reference, "Use"). */
export function checkSecretNames(value: Json, path: Path, checker: Checker): void {
  if (!Array.isArray(value)) {
    checker.report('BLW_VALUE_INVALID', path, 'use.secrets: expected a list of names');
    return;
  }
  for (const [index, item] of value.entries()) {
    const name = checker.text(item, [...path, index], 'use.secrets');
    if (name === undefined) continue;
    if (!SECRET_NAME.test(name)) checker.report('BLW_VALUE_INVALID', [...path, index], explainSecretName(name));
    if (value.indexOf(name) !== index)
      checker.report('BLW_NAME_DUPLICATE', [...path, index], `use.secrets has "${shortText(name)}" twice`);
  }
}

/** Reports a secret that `use.secrets` does not declare. */
export function checkSecretName(name: string, path: Path, use: JsonObject, checker: Checker): void {
  const declared = Array.isArray(use.secrets) ? use.secrets.filter((item) => typeof item === 'string') : [];
  if (!declared.includes(name)) checker.report('BLW_REF_UNKNOWN', path, unknownReference(name, 'secrets', declared));
}

/** Checks the secrets that the expressions of one document read. */
export class SecretChecker {
  constructor(
    private readonly checker: Checker,
    private readonly use: JsonObject,
    private readonly language: string,
  ) {}

  /** Reports what is wrong with the secrets of an expression; `isPlace`: they may stand there. True where nothing is. */
  expression(expression: string, path: Path, isPlace: boolean): boolean {
    if (!isExpressionLanguage(this.language)) return true;
    const before = this.checker.problems.length;
    const { paths, problem } = secretReferences(expression, this.language);
    const [first] = paths;
    if (!isPlace && (first !== undefined || problem !== undefined)) {
      const what = first === undefined ? 'secrets' : shortText(secretText(first));
      this.checker.report('BLW_SECRET_PLACE', path, `${what}: ${ELSEWHERE}`);
    } else if (problem !== undefined) this.checker.report('BLW_SECRET_PLACE', path, `secrets ${problem}`);
    for (const [name = ''] of paths) checkSecretName(name, path, this.use, this.checker);
    return this.checker.problems.length === before;
  }

  /** Reports a secret that one call reads as a whole and by its keys. */
  call(task: JsonObject, args: JsonObject, path: Path): void {
    if (!isExpressionLanguage(this.language)) return;
    const resolved = resolveAuthentication(args, this.use);
    const from = isJsonObject(task.input) ? (task.input.from ?? null) : null;
    const templates = [
      compileTemplate(resolved, this.language),
      typeof from === 'string' ? { expr: bareExpression(from, this.language) } : compileTemplate(from, this.language),
    ];
    const conflict = findSecretConflict(planSecrets({ args: resolved, templates }, this.language)?.paths ?? []);
    if (conflict === undefined) return;
    const message = `${shortText(secretText(conflict))} is used as a whole and by its keys in one step; use one of the two`;
    this.checker.report('BLW_SECRET_PLACE', path, message);
  }
}
