import { Stopped, StopRequest } from '../../src/cli/stop-request';
import { serveUntilStopped } from '../../src/cli/worker-life';
import type { RunningWorker } from '../../src/worker/serve-pools';

/** A worker whose end the test decides on. */
function fakeWorker(): { worker: RunningWorker; end: () => void; fail: (error: Error) => void; stops: () => number } {
  let end = () => {};
  let fail: (error: Error) => void = () => {};
  let stops = 0;
  const stopped = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  stopped.catch(() => undefined);
  const stop = () => {
    stops += 1;
    end();
    return stopped;
  };
  return { worker: { id: 'w', pools: [], stopped, stop }, end, fail, stops: () => stops };
}

describe('serveUntilStopped', () => {
  const lines: string[] = [];
  const logger = { log: (level: string, message: string) => lines.push(`${level} ${message}`) };
  let stop: StopRequest;
  beforeEach(() => {
    lines.length = 0;
    stop = new StopRequest(() => undefined);
  });
  afterEach(() => stop.release());

  it('drains the worker when somebody wants to stop, and is done', async () => {
    const { worker, stops } = fakeWorker();
    const serving = serveUntilStopped(worker, { stop, logger });
    stop.request('test');
    expect(await serving).toBe(0);
    expect(stops()).toBe(1);
    expect(lines).toEqual(['info worker stopped']);
  });

  it('has failed where a pool fails', async () => {
    const { worker, fail } = fakeWorker();
    const serving = serveUntilStopped(worker, { stop, logger });
    fail(new Error('poll failed'));
    expect(await serving).toBe(1);
    expect(lines).toEqual(['error worker failed; its pools have stopped']);
  });

  it('has failed where the worker ends although nobody wants to stop', async () => {
    const { worker, end } = fakeWorker();
    const serving = serveUntilStopped(worker, { stop, logger });
    end();
    expect(await serving).toBe(1);
  });
});

describe('StopRequest', () => {
  it('is wanted once, by a signal or a call, and tells why', async () => {
    const reasons: string[] = [];
    const stop = new StopRequest((reason) => reasons.push(reason));
    try {
      process.emit('SIGTERM', 'SIGTERM');
      stop.request('later');
      expect(await stop.wanted()).toBe('SIGTERM');
      expect(reasons).toEqual(['SIGTERM']);
      expect(stop.signal.aborted).toBe(true);
    } finally {
      stop.release();
    }
  });

  it('comes before work that takes longer, but does not change work that is done', async () => {
    const stop = new StopRequest(() => undefined);
    try {
      expect(await stop.interrupting(Promise.resolve(7))).toBe(7);
      stop.request('test');
      await expect(stop.interrupting(new Promise(() => undefined))).rejects.toThrow(Stopped);
    } finally {
      stop.release();
    }
  });

  it('leaves no listener behind', () => {
    const before = process.listenerCount('SIGINT');
    const stop = new StopRequest(() => undefined);
    expect(process.listenerCount('SIGINT')).toBe(before + 1);
    stop.release();
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
