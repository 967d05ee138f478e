import type { Driver } from './driver';
import type { Random } from './random';
import type { World } from './world';

/** What a fault is made in, and with. */
export interface Scene {
  readonly world: World;
  readonly driver: Driver;
  readonly random: Random;
}

export interface Fault {
  readonly name: string;
  /** Seconds that it takes at most, with what it waits for. */
  readonly seconds: number;
  /** Why it cannot be made here; undefined where it can. */
  missing?(world: World): string | undefined;
  /** Makes it, and mends it again. False: there was no occasion for it. */
  strike(scene: Scene): Promise<boolean>;
}
