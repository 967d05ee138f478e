import type { FlowLibrary } from '../dsl/catalog/library';
import type { Json, JsonObject } from '../dsl/json';
import type { FlowPlan } from '../dsl/planning/plan';

/** Most documents that are kept, and most characters of all of them with their plans: some 20 MB of a worker's memory. */
const MAX_FLOWS = 200;
const MAX_CHARACTERS = 4_000_000;

/** Larger documents are started too seldom for their place. */
const MAX_CHARACTERS_EACH = 400_000;

/** What is made of a document before a flow of it can start. Shared by all of them: nobody may change it. */
export interface PlannedFlow {
  readonly plan: FlowPlan;
  /** Of the flow's input; absent: any will do. */
  readonly inputSchema?: Json;
  /** Characters of the plan as JSON. */
  readonly planSize: number;
}

interface KeptFlow {
  readonly planned: PlannedFlow;
  readonly size: number;
}

/** Documents that were valid and have a plan, the last ones used: most starts are of a document that was started before. */
export class PlannedFlows {
  /** By the text of the document, the one used last at the end. */
  readonly #kept = new Map<string, KeptFlow>();
  #size = 0;
  /** With which all of them were made. */
  #library: FlowLibrary | undefined;

  /**
   * What `make` made of that document at an earlier time, if that was with the same library, else what it makes now. Its errors pass through, and are not
   * kept.
   */
  async planned(
    document: JsonObject,
    { library, isDryRun }: { readonly library: FlowLibrary | undefined; readonly isDryRun: boolean },
    make: () => Promise<PlannedFlow>,
  ): Promise<PlannedFlow> {
    const key = keyOf(document, isDryRun);
    if (key === undefined) return await make();
    if (library !== this.#library) this.#forgetAll(library);
    const known = this.#take(key);
    if (known !== undefined) {
      this.#keep(key, known);
      return known.planned;
    }
    const planned = await make();
    const size = key.length + planned.planSize;
    // Meanwhile another start may have made it as well, or come with another library.
    if (library !== this.#library || size > MAX_CHARACTERS_EACH) return planned;
    this.#take(key);
    this.#keep(key, { planned, size });
    return planned;
  }

  #forgetAll(library: FlowLibrary | undefined): void {
    this.#kept.clear();
    this.#size = 0;
    this.#library = library;
  }

  #take(key: string): KeptFlow | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined || !this.#kept.delete(key)) return undefined;
    this.#size -= kept.size;
    return kept;
  }

  #keep(key: string, flow: KeptFlow): void {
    this.#kept.set(key, flow);
    this.#size += flow.size;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_FLOWS && this.#size <= MAX_CHARACTERS) return;
      this.#take(oldest);
    }
  }
}

/** Undefined for what is nested too deep to be written, which its checks refuse. */
function keyOf(document: JsonObject, isDryRun: boolean): string | undefined {
  try {
    return `${isDryRun ? 'dry-run' : 'live'} ${JSON.stringify(document)}`;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
