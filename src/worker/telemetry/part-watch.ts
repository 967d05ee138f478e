import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { NativeConnection } from '@temporalio/worker';
import { within } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import { Background } from '../background';
import type { Conditions } from './conditions';

/** How often it is looked at the parts, and how long an answer may take. */
const LOOK_EVERY_MS = 2_000;
const LIMIT_MS = 2_000;

/** Times in a row that a part must fail to count as degraded: one answer may be late on a busy machine. */
const FAILURES = 2;

type WatchedPart = 'temporal' | 'blob_store';

/** Looks again and again whether Temporal answers, and whether the blob store is there, and tells the conditions. */
export class PartWatch {
  readonly #background: Background;
  /** Of parts that failed when it was looked last: why, and how often in a row. */
  readonly #failed = new Map<WatchedPart, { readonly problem: string; readonly times: number }>();

  constructor(
    private readonly parts: {
      readonly connection: Pick<NativeConnection, 'workflowService' | 'withDeadline'>;
      readonly blobRoot: string;
      readonly conditions: Conditions;
    },
  ) {
    // What a look finds is told by the look.
    this.#background = new Background(() => undefined);
    this.#background.every(LOOK_EVERY_MS, 'temporal', () => this.#look('temporal', () => this.#askTemporal()));
    this.#background.every(LOOK_EVERY_MS, 'blob_store', () => this.#look('blob_store', () => this.#askBlobs()));
  }

  /** Why the part did not work when it was looked last; undefined: it did. */
  problemOf(part: WatchedPart): string | undefined {
    return this.#failed.get(part)?.problem;
  }

  /** Ends the looking. Never throws. */
  async close(): Promise<void> {
    await this.#background.close(LIMIT_MS);
  }

  async #look(part: WatchedPart, ask: () => Promise<void>): Promise<void> {
    const { conditions } = this.parts;
    try {
      await within(LIMIT_MS, ask());
      this.#failed.delete(part);
      conditions.recover(part);
    } catch (error) {
      const problem = messageOf(error);
      const times = (this.#failed.get(part)?.times ?? 0) + 1;
      this.#failed.set(part, { problem, times });
      if (times >= FAILURES) conditions.degrade(part, problem);
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
