/** What a person would write by hand for the same work: a workflow of the TypeScript SDK with a loop of activities. */
const { proxyActivities } = require('@temporalio/workflow');

const { httpGet } = proxyActivities({ startToCloseTimeout: '30 s' });

exports.handWritten = async function handWritten({ url, steps }) {
  let output = null;
  for (let step = 0; step < steps; step += 1) output = await httpGet(url);
  return output;
};
