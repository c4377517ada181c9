import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** What was posted, byte for byte. */
export interface Posted {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver of web hooks. */
export class HookReceiver {
  readonly posted: Posted[] = [];
  /** What is answered next, one after the other; then 204. `null`: nothing, ever. */
  answers: (number | null)[] = [];

  private constructor(
    private readonly server: Server,
    private readonly elsewhere: string,
  ) {}

  /** @param elsewhere where a redirect leads */
  static async start(elsewhere = 'http://127.0.0.1:1/'): Promise<HookReceiver> {
    const server = createServer();
    const receiver = new HookReceiver(server, elsewhere);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        receiver.posted.push({
          path: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        });
        const status = receiver.answers.length > 0 ? receiver.answers.shift() : 204;
        if (typeof status === 'number')
          response.writeHead(status, { location: receiver.elsewhere }).end('the answer');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/hook`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const TOLERANCE_SECONDS = 300;

/**
 * A receiver's check after the specification of Standard Webhooks: the time is within five minutes, and one of the
 * signatures is HMAC-SHA256 of `id.timestamp.body` by the secret.
 *
 * @throws Error where the message is not to be believed
 */
export function verifyWebhook(secret: string, { headers, body }: Pick<Posted, 'headers' | 'body'>): unknown {
  const header = (name: string): string => {
    const value = headers[name];
    if (typeof value !== 'string') throw new Error(`no ${name}`);
    return value;
  };
  const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')];
  if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS) throw new Error('too old');
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
  const isSigned = header('webhook-signature')
    .split(' ')
    .some((signature) => {
      const [version, text = ''] = signature.split(',');
      const given = Buffer.from(text, 'base64');
      return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
    });
  if (!isSigned) throw new Error('not signed by this secret');
  return JSON.parse(body);
}

/** A mail as a server gets it. */
export interface Mailed {
  from: string;
  to: string[];
  user: string | undefined;
  secure: boolean;
  source: string;
}

/** A mail server that keeps what it gets. */
export class MailReceiver {
  readonly mailed: Mailed[] = [];
  /** Status with which the next receivers are refused; by address. */
  readonly refused = new Map<string, number>();

  private constructor(private readonly server: SMTPServer) {}

  static async start(options: SMTPServerOptions = {}): Promise<MailReceiver> {
    const holder: { receiver?: MailReceiver } = {};
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      logger: false,
      onRcptTo: ({ address }, _session, done) => {
        const status = holder.receiver?.refused.get(address);
        done(
          status === undefined
            ? null
            : Object.assign(new Error('no secret-of-the-server'), { responseCode: status }),
        );
      },
      onData: (stream, { envelope, user, secure }, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          holder.receiver?.mailed.push({
            from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
            to: envelope.rcptTo.map(({ address }) => address),
            user: typeof user === 'string' ? user : undefined,
            secure,
            source: Buffer.concat(chunks).toString('utf8'),
          });
          done();
        });
      },
      ...options,
    });
    const receiver = new MailReceiver(server);
    holder.receiver = receiver;
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve());
    });
    return receiver;
  }

  get port(): number {
    return (this.server.server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
