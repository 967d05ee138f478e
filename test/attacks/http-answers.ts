import type { Socket } from 'node:net';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { closeOf } from '../helpers/loopback';
import { type AttackCase, codeOf, described } from './attack';
import { FINE_ANSWERS, HOSTILE_ANSWERS, type HostileAnswer, SMUGGLED_ANSWERS } from './http';
import type { HttpWorld } from './http-world';

type HttpCase = AttackCase<HttpWorld>;

/** More than this means that something is kept of an answer without an end. */
const MAX_GROWTH_BYTES = 200 * 1_048_576;
const TRICKLE_MS = 10;

function answerWith(socket: Socket, { start, flood, trickle, ends }: HostileAnswer): void {
  socket.write(start);
  if (ends === true) socket.end();
  if (flood !== undefined) floodWith(socket, flood);
  if (trickle !== undefined) {
    const timer = setInterval(() => socket.write(trickle), TRICKLE_MS);
    socket.once('close', () => clearInterval(timer));
  }
}

function floodWith(socket: Socket, chunk: string): void {
  const pour = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', pour);
  pour();
}

async function survive(world: HttpWorld, answer: HostileAnswer): Promise<string | undefined> {
  const before = process.memoryUsage().rss;
  try {
    const closed: Promise<unknown>[] = [];
    const server = await world.servers.tcp((socket) => {
      closed.push(closeOf(socket));
      socket.on('data', () => answerWith(socket, answer));
    });
    const args = { method: 'get', redirect: true, endpoint: { uri: server.origin } };
    const outcome = await world.run(httpRequest, args, world.client(['127.0.0.1']));
    if (codeOf(outcome) === undefined) return described(outcome);
    const growth = process.memoryUsage().rss - before;
    if (growth > MAX_GROWTH_BYTES) return `the memory grew by ${Math.round(growth / 1_048_576)} MiB`;
    // A redirect's connection may be kept, since it ended well.
    if (!answer.what.startsWith('a redirect') && !answer.what.startsWith('redirects')) await closed[0];
    return undefined;
  } finally {
    await world.tidy();
  }
}

async function callTwice(world: HttpWorld, answer: string) {
  try {
    let count = 0;
    const server = await world.servers.tcp((socket) => {
      socket.on('data', () => {
        count += 1;
        socket.write(
          count === 1 ? answer : 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nsecond',
        );
      });
    });
    const client = world.client(['127.0.0.1']);
    const args = { method: 'get', endpoint: { uri: server.origin } };
    const first = await world.run(httpRequest, args, client, 2_000);
    return { first, second: await world.run(httpRequest, args, client, 2_000) };
  } finally {
    await world.tidy();
  }
}

/** Answers of hostile servers, and some that only look odd. */
export const answerCases: readonly HttpCase[] = [
  ...HOSTILE_ANSWERS.map(
    (answer): HttpCase => ({
      kind: 'hostile answers',
      name: answer.what,
      attempt: (world) => survive(world, answer),
    }),
  ),
  ...SMUGGLED_ANSWERS.map(
    ([what, more]): HttpCase => ({
      kind: 'hostile answers',
      name: `after a whole answer, ${what}`,
      attempt: async (world) => {
        const whole = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nfirst';
        const { first, second } = await callTwice(world, whole + more);
        if (!('value' in first) || first.value !== 'first') return described(first);
        // The second request may fail with the connection; it must not be answered by the first one's rest.
        if ('error' in second || second.value === 'second') return undefined;
        return described(second);
      },
    }),
  ),
  ...FINE_ANSWERS.map(
    ([what, answer]): HttpCase => ({
      kind: 'hostile answers',
      name: `fine: ${what}`,
      isControl: true,
      attempt: async (world) => {
        const { first } = await callTwice(world, answer);
        return 'value' in first && first.value === 'ok' ? undefined : described(first);
      },
    }),
  ),
  {
    kind: 'hostile answers',
    name: 'a wish to keep the connection for an hour',
    attempt: async (world) => {
      try {
        const closed: Promise<unknown>[] = [];
        const server = await world.servers.tcp((socket) => {
          closed.push(closeOf(socket));
          const head =
            'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=3600\r\ncontent-length: 2\r\n\r\nok';
          socket.on('data', () => socket.write(head));
        });
        const args = { method: 'get', output: 'raw', endpoint: { uri: server.origin } };
        const outcome = await world.run(httpRequest, args, world.client(['127.0.0.1'], { maxIdleMs: 50 }), 5_000);
        if ('error' in outcome) return described(outcome);
        await closed[0];
        return undefined;
      } finally {
        await world.tidy();
      }
    },
  },
];
