/** Loaded into every thread of the worker's process: the workflow thread tells how large its heap is. */
const { BroadcastChannel, isMainThread } = require('node:worker_threads');
const { getHeapStatistics } = require('node:v8');

if (!isMainThread) {
  const channel = new BroadcastChannel('beamline-bench-heap');
  channel.unref();
  setInterval(() => channel.postMessage(getHeapStatistics().used_heap_size), 200).unref();
}
