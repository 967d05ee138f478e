import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { compileFailingDisk, failingDiskEnvironment } from '../helpers/failing-disk';

const ROOT = process.env.BEAMLINE_ROOT ?? process.cwd();

/** Errors of a disk, made in the processes that use it, and in their children. */
export class DiskFaults {
  private constructor(
    /** Of processes whose disk is to fail. */
    readonly environment: NodeJS.ProcessEnv,
    private readonly plan: string,
  ) {}

  /** For what is below `disk`; undefined where there is no C compiler. */
  static make(folder: string, disk: string): DiskFaults | undefined {
    const library = join(folder, 'failing-disk.so');
    const plan = join(folder, 'failing-disk.plan');
    if (!compileFailingDisk(join(ROOT, 'test', 'helpers', 'failing-disk.c'), library)) return undefined;
    return new DiskFaults(failingDiskEnvironment({ library, folder: disk, plan }), plan);
  }

  /** From now on everything that writes fails with EIO. */
  begin(): void {
    writeFileSync(`${this.plan}.new`, `-1 ${constants.errno.EIO}          \n`);
    renameSync(`${this.plan}.new`, this.plan);
  }

  /** False: there was nothing that could fail. */
  end(): boolean {
    const wasHit = readFileSync(this.plan, 'utf8').startsWith('-2');
    // Not written anew: a process may be about to write into it.
    rmSync(this.plan);
    return wasHit;
  }
}
