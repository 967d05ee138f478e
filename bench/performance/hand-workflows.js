/** What a person would write by hand for the same work: workflows of the TypeScript SDK that call activities. */
const { proxyActivities } = require('@temporalio/workflow');

const activities = proxyActivities({ startToCloseTimeout: '30 s' });

/** So many steps, one after the other; what each took, as the workflow sees it: scheduled to result, ms. */
exports.sequential = async function sequential({ work, argument, steps }) {
  const times = [];
  for (let step = 0; step < steps; step += 1) {
    const startedAt = Date.now();
    await activities[work](argument);
    times.push(Date.now() - startedAt);
  }
  return times.length > 10 ? null : times;
};

/** So many steps at once. */
exports.parallel = async function parallel({ work, argument, steps }) {
  await Promise.all(Array.from({ length: steps }, () => activities[work](argument)));
};
