import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { NativeConnection } from '@temporalio/worker';
import { within } from '../../activities/within';
import { Background } from '../quota/background';
import type { Conditions, Part } from './conditions';

/** How often it is looked at the parts, and how long an answer may take. */
const LOOK_EVERY_MS = 5_000;
const LIMIT_MS = 2_000;

/** Times in a row that a part must fail: a single answer may be late on a busy machine. */
const FAILURES = 2;

/** Looks again and again whether Temporal answers, and whether the blob store is there, and says so to the conditions. */
export class PartWatch {
  readonly #background: Background;
  readonly #failures = new Map<Part, number>();

  constructor(
    private readonly parts: {
      readonly connection: Pick<NativeConnection, 'workflowService' | 'withDeadline'>;
      readonly blobRoot: string;
      readonly conditions: Conditions;
    },
  ) {
    // What fails is told below.
    this.#background = new Background(() => undefined);
    this.#background.every(LOOK_EVERY_MS, 'temporal', () => this.#look('temporal', () => this.#askTemporal()));
    this.#background.every(LOOK_EVERY_MS, 'blob_store', () => this.#look('blob_store', () => this.#askBlobs()));
  }

  async close(): Promise<void> {
    await this.#background.close(LIMIT_MS);
  }

  async #look(part: Part, ask: () => Promise<unknown>): Promise<void> {
    const { conditions } = this.parts;
    try {
      await within(LIMIT_MS, ask());
      this.#failures.delete(part);
      conditions.recover(part);
    } catch (error) {
      const failures = (this.#failures.get(part) ?? 0) + 1;
      this.#failures.set(part, failures);
      if (failures >= FAILURES) conditions.degrade(part, error instanceof Error ? error.message : String(error));
    }
  }

  async #askTemporal(): Promise<void> {
    const { connection } = this.parts;
    await connection.withDeadline(Date.now() + LIMIT_MS, () => connection.workflowService.getSystemInfo({}));
  }

  async #askBlobs(): Promise<void> {
    await access(this.parts.blobRoot, constants.R_OK | constants.W_OK | constants.X_OK);
  }
}
