import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = process.env.BEAMLINE_ROOT ?? process.cwd();

/** Calls that fail: those that write, or those that flush. */
export type FailingCalls = 'writing' | 'flushing';

/** Errors of a disk, made in the processes that use it: `eio.c` is preloaded into them. */
export class DiskFaults {
  private constructor(
    /** Shared library to preload. */
    readonly library: string,
    readonly environment: Readonly<Record<string, string>>,
    private readonly control: string,
  ) {}

  /** For files below `disk`; undefined where there is no C compiler. */
  static make(folder: string, disk: string): DiskFaults | undefined {
    const library = join(folder, 'eio.so');
    const control = join(folder, 'eio');
    const source = join(ROOT, 'test', 'chaos', 'eio.c');
    try {
      execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'ignore' });
    } catch {
      return undefined;
    }
    return new DiskFaults(library, { CHAOS_DISK: disk, CHAOS_EIO: control }, control);
  }

  begin(calls: FailingCalls): void {
    writeFileSync(this.control, calls === 'writing' ? 'w' : 's');
  }

  /** False: there was nothing that could fail. */
  end(): boolean {
    rmSync(this.control, { force: true });
    const hit = `${this.control}.hit`;
    const wasHit = existsSync(hit);
    rmSync(hit, { force: true });
    return wasHit;
  }
}
