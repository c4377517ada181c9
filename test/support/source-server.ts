import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificates.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server on a free port of the loopback address that answers as a test says and remembers what it was asked. */
export class SourceServer {
  readonly asked: { method: string; url: string; headers: IncomingMessage['headers'] }[] = [];
  #answer: Answer = (_request, response) => response.writeHead(404).end();
  readonly #server: Server;

  private constructor(private readonly certificate: Certificate | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      this.#answer(request, response);
    };
    this.#server = certificate ? createSecureServer(certificate, answer) : createServer(answer);
  }

  /** @param certificate speaks TLS with it; by default it does not */
  static async start(certificate?: Certificate): Promise<SourceServer> {
    const server = new SourceServer(certificate);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return isAddress(address) ? address.port : 0;
  }

  get url(): string {
    return `${this.certificate ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** From now on it answers so, and has been asked nothing. */
  answer(answer: Answer): void {
    this.#answer = answer;
    this.asked.length = 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const isAddress = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;
