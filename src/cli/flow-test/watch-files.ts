import { basename } from 'node:path';
import { watch } from 'chokidar';
import type { StopRequest } from '../stop-request';

/** What editors do to save one file is over by then. */
const SETTLE_MS = 100;

const IS_DOCUMENT = /\.(?:yaml|yml|json)$/;

/** Tells of changes of documents, in folders and below them, and of single files. */
export interface FileWatch {
  /** Resolves with the files that have changed since the last call, once any has; rejects with Stopped. Not to be called again before that. */
  changes(): Promise<ReadonlySet<string>>;
  /** Watches more of them; those that are watched already may be among them. */
  add(places: readonly string[]): void;
  close(): Promise<void>;
}

/** Begins to watch absolute paths. A change is told once nothing else has changed for a moment. */
export async function watchFiles(places: readonly string[], stop: StopRequest): Promise<FileWatch> {
  const changed = new Set<string>();
  let isSettled = false;
  let tell: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  const isHidden = (path: string) => /^(?:\.|node_modules$)/.test(basename(path)) && !places.includes(path);
  const watcher = watch([...places], {
    ignoreInitial: true,
    ignored: (path, info) => isHidden(path) || (info?.isFile() === true && !IS_DOCUMENT.test(path)),
  });
  watcher.on('all', (_, path) => {
    changed.add(path);
    isSettled = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      isSettled = true;
      tell();
    }, SETTLE_MS);
  });
  await stop.interrupting(new Promise<void>((resolve) => watcher.once('ready', resolve)));
  return {
    changes: async () => {
      if (!isSettled) {
        await stop.interrupting(
          new Promise<void>((resolve) => {
            tell = resolve;
          }),
        );
      }
      isSettled = false;
      const all = new Set(changed);
      changed.clear();
      return all;
    },
    add: (more) => {
      watcher.add([...more]);
    },
    close: async () => {
      clearTimeout(timer);
      await watcher.close();
    },
  };
}
