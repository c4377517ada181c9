import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { freePort } from './free-port.ts';

/** One request on its way to MLflow. */
export interface ProxiedRequest {
  method: string;
  path: string;
  body: string;
}

/** What happens to the message that pulled a trigger. */
export type Fate = 'pass' | 'drop';

/** Something that happens once, at the first message that matches. */
export interface Trigger {
  /** `request`: before MLflow sees it; `response`: MLflow has done it, and nobody knows yet. */
  at: 'request' | 'response';
  matches: (message: ProxiedRequest) => boolean;
  act: () => Fate | Promise<Fate>;
}

/** An HTTP proxy in front of MLflow in which things go wrong at a moment that a test chooses. */
export class MlflowProxy {
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #triggers: Trigger[] = [];
  /** Told of every request. */
  listener: ((message: ProxiedRequest) => void) | undefined;

  private constructor(
    upstream: string,
    /** Nobody else is given it during an outage. */
    private readonly port: number,
  ) {
    this.#upstream = new URL(upstream);
    this.#server = createServer((incoming, answer) => {
      this.#handle(incoming, answer).catch(() => answer.destroy());
    });
  }

  static async start(upstream: string): Promise<MlflowProxy> {
    const proxy = new MlflowProxy(upstream, await freePort());
    await proxy.#listen();
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when the trigger has been pulled and its act is done. */
  once(trigger: Trigger): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#triggers.push({
        ...trigger,
        act: async () => {
          try {
            const fate = await trigger.act();
            resolve();
            return fate;
          } catch (error) {
            reject(error);
            return 'drop';
          }
        },
      });
    });
  }

  /** Cuts all connections, and refuses new ones for so long. */
  async outage(milliseconds: number): Promise<void> {
    await this.close();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    await this.#listen();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.port, '127.0.0.1', () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
  }

  async #handle(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = Buffer.concat(await incoming.toArray());
    const message: ProxiedRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      body: body.toString('utf8'),
    };
    this.listener?.(message);
    if ((await this.#fate('request', message)) === 'drop') return void answer.destroy();
    const response = await this.#forward(incoming, body);
    const content = Buffer.concat(await response.toArray());
    if ((await this.#fate('response', message)) === 'drop') return void answer.destroy();
    answer.writeHead(response.statusCode ?? 502, response.headers);
    answer.end(content);
  }

  async #fate(at: Trigger['at'], message: ProxiedRequest): Promise<Fate> {
    const index = this.#triggers.findIndex((trigger) => trigger.at === at && trigger.matches(message));
    const [trigger] = index < 0 ? [] : this.#triggers.splice(index, 1);
    return trigger ? trigger.act() : 'pass';
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port, host } = this.#upstream;
    return new Promise((resolve, reject) => {
      // MLflow answers to its own name only.
      request({ hostname, port, method, path: url, headers: { ...headers, host } }, resolve)
        .once('error', reject)
        .end(body);
    });
  }
}

/** A call of MLflow's REST interface by its last words, for example `model-versions/create`. */
export const callOf =
  (words: string, inBody = '') =>
  ({ path, body }: ProxiedRequest): boolean =>
    path.split('?')[0]?.endsWith(words) === true && body.includes(inBody);
