import type { HttpClient, HttpRequest, HttpResponse } from './http-client';

/** Who looks after clients that rest. */
export interface RestKeeper {
  /** Asked before a client is used; throws where there are to be no more requests. */
  onBusy(client: RestingHttpClient): void;
  /** Told when nobody uses it any more. */
  onIdle(client: RestingHttpClient): void;
}

/**
 * A client that holds nothing while it rests: what is behind it is made for the first request, and again for the first after
 * {@link RestingHttpClient.close}. So whoever keeps one for long, as caches of tokens do, keeps no connections with it.
 */
export class RestingHttpClient implements HttpClient {
  #client: HttpClient | undefined;
  #inUse = 0;

  constructor(
    private readonly make: () => HttpClient,
    private readonly keeper: RestKeeper,
  ) {}

  /** In use from the request until the answer's body is closed. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    if (this.#inUse === 0) this.keeper.onBusy(this);
    this.#inUse += 1;
    try {
      this.#client ??= this.make();
      const response = await this.#client.send(request);
      if (response.body.closed) this.#leave();
      else response.body.once('close', () => this.#leave());
      return response;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** Lets go of what it holds; fails what is under way. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }

  #leave(): void {
    this.#inUse -= 1;
    if (this.#inUse === 0) this.keeper.onIdle(this);
  }
}
