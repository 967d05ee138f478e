/**
 * Loaded before our worker (`node --require`): gives the SDK's worker of the pool `io` options that ours has none for, from BENCH_WORKER_OPTIONS, one JSON
 * object. For measurements only.
 */
const { Worker } = require('@temporalio/worker');

const given = JSON.parse(process.env.BENCH_WORKER_OPTIONS);
const { create } = Worker;

Worker.create = function createTuned(options) {
  if (!options.taskQueue.endsWith('-io')) return create.call(this, options);
  const { maxConcurrentActivityTaskExecutions, maxConcurrentWorkflowTaskExecutions, ...others } = options;
  // The SDK takes either numbers of slots or a tuner.
  const slots = { maxConcurrentActivityTaskExecutions, maxConcurrentWorkflowTaskExecutions };
  return create.call(this, { ...others, ...(given.tuner === undefined ? slots : {}), ...given });
};
