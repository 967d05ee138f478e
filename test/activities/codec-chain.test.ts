import type { Payload } from '@temporalio/common';
import { type ChainedCodec, CodecChain } from '../../src/activities/payloads/codec-chain';

const payload = (text: string): Payload => ({ data: Buffer.from(text) });
const textOf = ({ data }: Payload) => Buffer.from(data ?? []).toString();

/** Appends its name to payloads that begin with a mark, and takes it off. */
class Naming implements ChainedCodec {
  calls = 0;
  constructor(
    private readonly name: string,
    private readonly mark: string,
  ) {}
  async encode(payloads: Payload[]): Promise<Payload[]> {
    this.calls += 1;
    return payloads.map((one) => (this.#isMine(one) ? payload(textOf(one) + this.name) : one));
  }
  async decode(payloads: Payload[]): Promise<Payload[]> {
    this.calls += 1;
    return payloads.map((one) =>
      textOf(one).endsWith(this.name) ? payload(textOf(one).slice(0, -this.name.length)) : one,
    );
  }
  passesEncoding(payloads: readonly Payload[]): boolean {
    return !payloads.some((one) => this.#isMine(one));
  }
  passesDecoding(payloads: readonly Payload[]): boolean {
    return !payloads.some((one) => textOf(one).endsWith(this.name));
  }
  #isMine(one: Payload): boolean {
    return textOf(one).startsWith(this.mark);
  }
}

describe('a chain of codecs', () => {
  const first = new Naming('1', 'x');
  const second = new Naming('2', 'x');
  const chain = new CodecChain([first, second]);
  beforeEach(() => {
    first.calls = 0;
    second.calls = 0;
  });

  test('encodes from the first to the last, and decodes the other way round', async () => {
    const encoded = await chain.encode([payload('xa'), payload('b')]);
    expect(encoded.map(textOf)).toEqual(['xa12', 'b']);
    expect((await chain.decode(encoded)).map(textOf)).toEqual(['xa', 'b']);
  });

  test('asks no codec to do what all would pass on', async () => {
    const plain = [payload('a')];
    expect(await chain.encode(plain)).toBe(plain);
    expect(await chain.decode(plain)).toBe(plain);
    expect([first.calls, second.calls]).toEqual([0, 0]);
  });

  test('asks all of them where one has something to do, since it may leave something to the next', async () => {
    const picky = new CodecChain([first, new Naming('2', 'never')]);
    expect((await picky.encode([payload('xa')])).map(textOf)).toEqual(['xa1']);
    expect(first.calls).toBe(1);
  });
});
