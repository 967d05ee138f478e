import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { LogFields } from '../../src/worker/logger';
import type { OptionValues } from '../../src/worker/options';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { makeOperator } from '../helpers/nats-operator';
import { makeSelfSigned } from '../helpers/self-signed';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const binary = findNatsServer();
const describeWithNats = binary === undefined ? describe.skip : describe;

/** The server's settings that the documentation shows, with the passwords of the test. */
function documentedSettings(): string {
  const [, text = ''] =
    /<!-- tested: nats -->\s+```text\n([\s\S]*?)```/.exec(
      readFileSync(join(__dirname, '..', '..', 'docs', 'events.md'), 'utf8'),
    ) ?? [];
  return text.replaceAll('$WORKER_PASSWORD', 'worker-password').replaceAll('$ACME_PASSWORD', 'acme-password');
}

describeWithNats('access to NATS (needs nats-server)', () => {
  let nats: TestNats | undefined;
  let worker: TestWorker | undefined;
  let folder: string;
  let logged: { level: string; message: string; fields: LogFields }[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    logged = [];
  });
  afterEach(async () => {
    await worker?.stop();
    await nats?.stop();
    worker = undefined;
    nats = undefined;
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  function fileOf(name: string, text: string): string {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  }

  async function start(settings: OptionValues): Promise<TestWorker> {
    const log = (level: string, message: string, fields: LogFields = {}) => logged.push({ level, message, fields });
    worker = await startTestWorker({ pools: 'io', ...settings }, undefined, { log });
    return worker;
  }

  const untilLogged = (text: string) =>
    eventually(async () => logged.find(({ message }) => message.startsWith(text)), 20_000);

  /** Emits, hears an event from outside, and so shows that all of it works. */
  async function hears(at: TestWorker, publish: (subject: string, event: JsonObject) => Promise<void>): Promise<void> {
    const flow = await at.start(
      'do: [{tell: {emit: {event: {with: {type: told}}}}}, {hear: {listen: {to: {one: {with: {type: said}}}}}}]',
      null,
      { tenant: 'acme' },
    );
    await progressWhen(flow, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    await publish('beamline.events.acme.said', eventOf('hello'));
    expect(await flow.result()).toEqual(['hello']);
  }

  const eventOf = (data: Json): JsonObject => ({
    specversion: '1.0',
    id: randomUUID(),
    source: '/crm',
    type: 'said',
    data,
  });

  const publisher =
    (options: Parameters<typeof connect>[0]) =>
    async (subject: string, event: JsonObject): Promise<void> => {
      const connection = await connect({ reconnect: false, ...options });
      connection.publish(subject, JSON.stringify(event));
      await connection.flush();
      await connection.close();
    };

  test('the documented permissions are enough for workers, and hold a tenant to its own events', async () => {
    nats = await startNats(binary ?? '', documentedSettings());
    const credentials = fileOf('nats.txt', 'worker:wrong-password\n');
    const at = await start({ 'nats-url': nats.url, 'nats-credentials': credentials });
    const away = await untilLogged('NATS is away');
    expect(away.fields.error).toMatch(/authorization/i);
    fileOf('nats.txt', 'worker:worker-password\n');
    await untilLogged('NATS is back');

    const servers = nats.url.replace('nats://', '');
    const asAcme = publisher({ servers, user: 'acme', pass: 'acme-password' });
    await hears(at, asAcme);
    const other = await at.start('do: [{hear: {listen: {to: {one: {with: {type: said}}}}}}]', null, {
      tenant: 'other',
    });
    await progressWhen(other, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    await asAcme('beamline.events.other.said', eventOf('not yours'));
    await publisher({ servers, user: 'worker', pass: 'worker-password' })(
      'beamline.events.other.said',
      eventOf('yours'),
    );
    expect(await other.result()).toEqual(['yours']);
    for (const password of ['wrong-password', 'worker-password'])
      expect(JSON.stringify(logged)).not.toContain(password);
  }, 60_000);

  test('what NATS does not let the worker publish holds up no other tenant', async () => {
    nats = await startNats(
      binary ?? '',
      documentedSettings().replace('"beamline.events.>"', '"beamline.events.acme.>"'),
    );
    const credentials = fileOf('nats.txt', 'worker:worker-password\n');
    const at = await start({ 'nats-url': nats.url, 'nats-credentials': credentials });
    await untilLogged('NATS is connected');
    const flow = 'do: [{tell: {emit: {event: {with: {type: told}}}}}]';
    for (const tenant of ['globex', 'acme']) await at.run(flow, null, { tenant });
    const { fields } = await untilLogged('a message was not published: NATS does not allow it');
    expect(fields).toMatchObject({ tenant_id: 'globex', subject: 'beamline.events.globex.told' });
    const subjects = await eventually(async () => {
      const connection = await connect({ servers: `127.0.0.1:${nats?.port}`, user: 'worker', pass: 'worker-password' });
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const { state } = await manager.streams.info('BEAMLINE_EVENTS', { subjects_filter: '>' });
      await connection.close();
      return state.messages > 0 ? state.subjects : undefined;
    });
    expect(subjects).toEqual({ 'beamline.events.acme.told': 1 });
    expect(logged.filter(({ message }) => message.startsWith('NATS is away'))).toEqual([]);
  }, 60_000);

  test('over TLS, with an authority of its own; no other certificate and no plain server will do', async () => {
    const { cert, key } = makeSelfSigned();
    const ca = fileOf('ca.pem', cert);
    const tls = `tls { cert_file: "${ca}", key_file: "${fileOf('key.pem', key)}" }`;
    nats = await startNats(binary ?? '', tls);
    const url = `tls://localhost:${nats.port}`;
    const at = await start({ 'nats-url': url, 'nats-ca': ca });
    await untilLogged('NATS is connected');
    await hears(at, publisher({ servers: `localhost:${nats.port}`, tls: { caFile: ca } }));
    await at.stop();
    await start({ 'nats-url': url });
    expect((await untilLogged('NATS is away')).fields.error).toMatch(/self.signed/);
    await worker?.stop();

    await nats.stop();
    nats = await startNats(binary ?? '');
    logged = [];
    await start({ 'nats-url': `tls://localhost:${nats.port}`, 'nats-ca': ca });
    expect((await untilLogged('NATS is away')).fields.error).toMatch(/tls/);
  }, 60_000);

  test('with a policy, events for tenants that it does not know are refused', async () => {
    nats = await startNats(binary ?? '');
    const tenants = { acme: { scopes: ['flow:start', 'resources:*'] } };
    const policy = fileOf('policy.yaml', JSON.stringify({ version: 1, tenants }));
    const at = await start({ 'nats-url': nats.url, policy });
    await untilLogged('NATS is connected');
    const publish = publisher({ servers: nats.url.replace('nats://', '') });
    await publish('beamline.events.globex.said', eventOf('nobody'));
    const { fields } = await untilLogged('a message from NATS was refused');
    expect(fields).toMatchObject({
      subject: 'beamline.events.globex.said',
      error: 'the policy knows no such tenant',
    });
    await hears(at, publish);
    await expect(at.client.workflow.getHandle(`${at.queuePrefix}-events:globex`).describe()).rejects.toThrow(
      /not found/i,
    );
  }, 60_000);

  test('with the .creds file of a user', async () => {
    const { settings, creds } = makeOperator();
    nats = await startNats(binary ?? '', settings);
    const file = fileOf('worker.creds', creds);
    await start({ 'nats-url': nats.url, 'nats-credentials': file });
    await untilLogged('NATS is connected');
    const [, seed = ''] = /SEED-+\n(.+)\n/.exec(creds) ?? [];
    expect(seed).toMatch(/^SU/);
    expect(JSON.stringify(logged)).not.toContain(seed);
  }, 60_000);
});
