/** What a person would write by hand for the same work: workflows of the TypeScript SDK that call activities. */
const { continueAsNew, proxyActivities, proxyLocalActivities, workflowInfo } = require('@temporalio/workflow');

const queued = proxyActivities({ startToCloseTimeout: '30 s' });
const local = proxyLocalActivities({ startToCloseTimeout: '30 s' });
const activitiesOf = (dispatch) => (dispatch === 'local' ? local : queued);

/** So many steps, one after the other; the output of the last one. */
exports.sequential = async function sequential({ work, argument, steps, dispatch }) {
  const activities = activitiesOf(dispatch);
  let output;
  for (let step = 0; step < steps; step += 1) output = await activities[work](argument, step);
  return output;
};

/** So many steps at once; what each gave. */
exports.parallel = async function parallel({ work, argument, steps, dispatch }) {
  const activities = activitiesOf(dispatch);
  return await Promise.all(Array.from({ length: steps }, (_, step) => activities[work](argument, step)));
};

/** A step for each item, in as many histories as that takes; the output of the last one. */
exports.loop = async function loop({ work, argument, items, dispatch }) {
  const activities = activitiesOf(dispatch);
  let output;
  for (const [index, item] of items.entries()) {
    if (workflowInfo().continueAsNewSuggested)
      await continueAsNew({ work, argument, items: items.slice(index), dispatch });
    output = await activities[work](argument, item);
  }
  return output;
};

/** One step, and how long it took as the workflow sees it: scheduled to result, ms. */
exports.lone = async function lone({ work, argument, dispatch }) {
  const startedAt = Date.now();
  const output = await activitiesOf(dispatch)[work](argument, 0);
  return { output, ms: Date.now() - startedAt };
};
