import { Conditions } from '../../../src/worker/telemetry/conditions';
import { boundTypes, readCoreMetrics } from '../../../src/worker/telemetry/core-metrics';
import { MetricGaps } from '../../../src/worker/telemetry/metric-gaps';
import { MetricsPage } from '../../../src/worker/telemetry/metrics-page';
import { createWorkerMetrics } from '../../../src/worker/telemetry/worker-metrics';
import { LoopbackServers } from '../../helpers/loopback';
import { MetricsText } from '../../helpers/metrics-text';

const servers = new LoopbackServers();
afterEach(() => servers.close());

it('leaves alone what is ours, to the letter', () => {
  const text = [
    '# HELP temporal_x "workflow_type="',
    '# TYPE temporal_x counter',
    'temporal_x{workflow_type="runFlow",activity_type="http.request",task_queue="a b} 1"} 1',
    'temporal_y{namespace="default"} NaN',
    '',
  ].join('\n');
  expect(boundTypes(text)).toBe(text);
});

it('sums up series of types that are not ours, each label by itself, where the first of them stood', () => {
  const lines = [
    'x{workflow_type="a",k="1"} 1',
    'x{workflow_type="runFlow",k="1"} 5',
    'x{workflow_type="b\\"} 7",k="1"} 2',
    'x{workflow_type="a",k="2"} 4',
    'x{activity_type="evil",workflow_type="runFlow"} 8',
    'x{workflow_type="other",k="1"} 16',
    'h_bucket{workflow_type="a",le="+Inf"} 3',
    'h_bucket{workflow_type="b",le="+Inf"} 4',
  ];
  expect(boundTypes(lines.join('\n')).split('\n')).toEqual([
    'x{workflow_type="other",k="1"} 19',
    'x{workflow_type="runFlow",k="1"} 5',
    'x{workflow_type="other",k="2"} 4',
    'x{activity_type="other",workflow_type="runFlow"} 8',
    'h_bucket{workflow_type="other",le="+Inf"} 7',
  ]);
});

it.each<[string, (end: (status: number, body: string) => void) => void, string]>([
  ['another status', (end) => end(404, ''), 'status 404'],
  ['more than a page', (end) => end(200, 'x'.repeat(5 * 1_024 * 1_024)), 'more than 4194304 bytes'],
  ['no answer in time', () => undefined, 'abort'],
])('fails on %s', async (_, answer, message) => {
  const server = await servers.http((_request, response) => {
    answer((status, body) => response.writeHead(status).end(body));
  });
  await expect(readCoreMetrics({ url: `${server.origin}/metrics` })).rejects.toThrow(message);
});

describe('the page', () => {
  it("has the SDK's metrics behind its own, does without them, and says so", async () => {
    let isAway = false;
    const server = await servers.http((_, response) => {
      response.writeHead(isAway ? 500 : 200).end('# TYPE temporal_x counter\ntemporal_x 1\n');
    });
    const conditions = new Conditions();
    const page = new MetricsPage({
      metrics: createWorkerMetrics('w'),
      coreMetrics: { url: `${server.origin}/metrics` },
      gaps: new MetricGaps(conditions),
    });
    expect(new MetricsText(await page.render()).value('temporal_x')).toBe(1);
    isAway = true;
    for (let count = 0; count < 2; count += 1) {
      const text = new MetricsText(await page.render());
      expect([text.has('temporal_x'), text.sum('worker_info')]).toEqual([false, 1]);
    }
    expect(conditions.find('metrics')?.message).toBe("the metrics of Temporal's SDK cannot be read: Error: status 500");
    isAway = false;
    expect(new MetricsText(await page.render()).has('temporal_x')).toBe(true);
    expect(conditions.list()).toEqual([]);
  });

  it('is made once for all who ask at the same time', async () => {
    const server = await servers.http((_, response) => response.end(''));
    const coreMetrics = { url: `${server.origin}/metrics` };
    const page = new MetricsPage({
      metrics: createWorkerMetrics('w'),
      coreMetrics,
      gaps: new MetricGaps(new Conditions()),
    });
    await Promise.all([page.render(), page.render()]);
    expect(server.requests).toHaveLength(1);
  });
});
