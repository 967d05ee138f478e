import type { FlowLibrary } from '../catalog/library';
import type { Json, JsonObject } from '../json';
import type { ExpressionChecker } from './check-expressions';
import type { Checker, Path } from './checker';
import type { Resolution } from './resolution';
import type { Scope } from './scope';

/** What the checks of one document share. */
export interface CheckContext {
  readonly checker: Checker;
  readonly expressions: ExpressionChecker;
  /** `use` of the document. */
  readonly use: JsonObject;
  /** Flows and functions by name; absent where there is no catalog at hand. */
  readonly library?: FlowLibrary;
  readonly resolution: Resolution;
  /** The function whose definition is checked; empty: the flow itself. */
  readonly caller: string;
  /** Checks a task that stands alone: the definition of a function. */
  checkDefinition(definition: { task: JsonObject; path: Path; context: CheckContext }): void;
}

/** The tasks of a list, for the directives of each of them. */
export interface Siblings {
  readonly names: ReadonlySet<string>;
  /** Branches of a fork: they run side by side, so that none can go on to another. */
  readonly areBranches: boolean;
}

/** A task that is checked, and where it stands. */
export interface TaskSite {
  readonly task: JsonObject;
  readonly path: Path;
  /** Scope of the task's own expressions. */
  readonly scope: Scope;
  readonly siblings: Siblings;
  readonly context: CheckContext;
  /** Checks a list of tasks below this one. */
  checkList(list: { value: Json | undefined; path: Path; scope: Scope; areBranches?: boolean }): void;
}
