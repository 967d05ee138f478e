/** A secret, or a value inside of one: its name in `use.secrets`, then keys (`secrets.db.password` is `['db', 'password']`). */
export type SecretPath = readonly string[];

/** Authentication whose properties are a secret: `basic: { use: NAME }`. */
export interface SecretPolicy {
  /** Place of the properties in the step's arguments, e.g. `['endpoint', 'authentication', 'basic']`. */
  readonly at: readonly string[];
  readonly name: string;
}

/** Secrets of a step as its plan has them: names only. A plan is recorded in history: add optional fields, never change one. */
export interface SecretsPlan {
  /** What the step's expressions read. */
  readonly paths?: readonly SecretPath[];
  readonly policies?: readonly SecretPolicy[];
}

/** Secrets of a step as its activity is asked for them; still no values. */
export interface StepSecrets {
  /** Text that stands in the arguments for a secret. It is new for every run of a step, so no data can contain it before. */
  readonly placeholders?: readonly { readonly text: string; readonly path: SecretPath }[];
  readonly policies?: readonly SecretPolicy[];
}

/** The secret as an author writes it: `secrets.db.password`. */
export function secretText(path: SecretPath): string {
  return ['secrets', ...path].join('.');
}

/** A path of the list that another one of the list goes through: it would have to be text and an object at once. */
export function findSecretConflict(paths: readonly SecretPath[]): SecretPath | undefined {
  return paths.find((path) =>
    paths.some((other) => other.length > path.length && path.every((key, index) => other[index] === key)),
  );
}

/** The paths, each once. */
export function distinctPaths(paths: readonly SecretPath[]): SecretPath[] {
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()];
}
