import { once } from 'node:events';
import { connect, createServer as createPlainServer, type Server, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Certificate } from './certificates.ts';

/** A socket with TLS in front of a server of this machine that has none. */
export class TlsFront {
  private constructor(private readonly servers: readonly Server[]) {}

  /** @param handshakeMs milliseconds for which it says nothing at first */
  static async before(port: number, certificate: Certificate, handshakeMs = 0): Promise<TlsFront> {
    const server = createServer(certificate, (front) => void joined(front, port).pipe(front));
    // Of those who do not trust it.
    server.on('tlsClientError', () => undefined);
    const own = await listening(server);
    if (handshakeMs === 0) return new TlsFront([server]);
    const slow = createPlainServer((front) => {
      const behind = joined(front, own);
      setTimeout(() => behind.pipe(front), handshakeMs);
    });
    await listening(slow);
    return new TlsFront([slow, server]);
  }

  get port(): number {
    return portOf(this.servers[0]);
  }

  async close(): Promise<void> {
    for (const server of this.servers) {
      const closed = once(server, 'close');
      server.close();
      await closed;
    }
  }
}

/** What is said goes on to a port; both ends end together. */
function joined(front: Socket, port: number): Socket {
  const behind = connect(port, '127.0.0.1');
  front.pipe(behind);
  const end = (): void => {
    front.destroy();
    behind.destroy();
  };
  for (const socket of [front, behind]) socket.on('error', end).on('close', end);
  return behind;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}

function portOf(server: Server | undefined): number {
  const address = server?.address();
  return typeof address === 'object' && address ? address.port : 0;
}
