/** Where Temporal's UI shows a run, as far as the address tells; undefined where it does not. */
export function uiLink(flow: {
  address: string;
  namespace: string;
  workflowId: string;
  runId: string;
}): string | undefined {
  const base = uiBase(flow.address);
  if (base === undefined) return undefined;
  const [namespace, workflowId, runId] = [flow.namespace, flow.workflowId, flow.runId].map(encodeURIComponent);
  return `${base}/namespaces/${namespace}/workflows/${workflowId}/${runId}/history`;
}

function uiBase(address: string): string | undefined {
  if (/\.(tmprl\.cloud|api\.temporal\.io)(:\d+)?$/.test(address)) return 'https://cloud.temporal.io';
  // The ports that `beamline dev` and Temporal's own development server have by default.
  return /^(127\.0\.0\.1|localhost|\[::1\]):7233$/.test(address) ? 'http://127.0.0.1:8233' : undefined;
}
