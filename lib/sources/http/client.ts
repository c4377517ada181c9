import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { guardedAgent } from '../guarded-agent.ts';
import type { HostRules } from '../hosts.ts';
import type { Timeouts } from '../source.ts';
import { TimedOut } from '../source-errors.ts';

/**
 * One request after another over connections to allowed addresses, with a time limit for each part of it. Node's own
 * client: undici 7 ends the process where a peer closes a connection whose body waits to be written
 * (https://github.com/nodejs/undici/issues/5360).
 */
export class HttpClient {
  readonly #agents: { 'http:': http.Agent; 'https:': https.Agent };

  constructor(
    hosts: HostRules,
    private readonly timeouts: Timeouts,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#agents = {
      'http:': guardedAgent(new http.Agent(), hosts),
      'https:': guardedAgent(new https.Agent(), hosts),
    };
  }

  /** Resolves with the answer's head; its body has to be read or destroyed. */
  request(method: string, url: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const { connect, headers: head, idle } = this.timeouts;
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const options = {
        method,
        headers,
        agent: secure ? this.#agents['https:'] : this.#agents['http:'],
        ...(this.signal ? { signal: this.signal } : {}),
      };
      const request = secure ? https.request(url, options) : http.request(url, options);
      let timer = setTimeout(() => request.destroy(new TimedOut('the connection takes too long')), connect);
      request.once('socket', (socket) => {
        socket.once(secure ? 'secureConnect' : 'connect', () => {
          clearTimeout(timer);
          timer = setTimeout(() => request.destroy(new TimedOut('it does not answer in time')), head);
        });
      });
      request.once('response', (answer) => {
        clearTimeout(timer);
        answer.setTimeout(idle, () => answer.destroy(new TimedOut('it stopped sending')));
        resolve(answer);
      });
      // After the answer's head too: what happens then is told by its body.
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end();
    });
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }
}
