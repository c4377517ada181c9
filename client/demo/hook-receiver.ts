import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { z } from 'zod';

/** What of a posted notice is shown; see docs/alerts.md. */
const posted = z.union([
  z.object({
    kind: z.literal('alert'),
    severity: z.string(),
    title: z.string(),
    events: z.array(z.object({ kind: z.string(), check: z.string(), words: z.string() })),
    next: z.string(),
    window: z.object({ from: z.string(), before: z.string() }),
  }),
  z.object({ kind: z.string(), text: z.string() }),
]);
/** A notice as a channel gets it. */
export type PostedNotice = z.infer<typeof posted> & {
  /** Whether the signature is that of the key. */
  signed: boolean;
};

/** Notices are small; a picture is the largest part. */
const MOST_BYTES = 5_000_000;

/**
 * A web hook on this machine: gets the notices of a platform as any channel does, and checks who sent them.
 *
 * @example
 * const hook = await HookReceiver.start((notice) => output.line(notice.kind));
 * await startPlatform({ env: { ...process.env, ...hook.environment } }, say);
 */
export class HookReceiver {
  readonly #key = randomBytes(32);

  private constructor(
    private readonly server: Server,
    private readonly url: string,
  ) {}

  /** @param onNotice is told of each notice once: a sender that has no answer sends again */
  static async start(onNotice: (notice: PostedNotice) => void): Promise<HookReceiver> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const receiver = new HookReceiver(server, `http://127.0.0.1:${port}/`);
    const seen = new Set<string>();
    server.on('request', (request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > MOST_BYTES) request.destroy();
      });
      request.on('end', () => {
        response.writeHead(204).end();
        const id = String(request.headers['webhook-id'] ?? '');
        if (seen.has(id)) return;
        seen.add(id);
        const notice = posted.safeParse(jsonOf(body));
        if (notice.success) onNotice({ ...notice.data, signed: receiver.#isSigned(request.headers, body) });
      });
    });
    return receiver;
  }

  /** What a platform is started with, so that it tells this hook. */
  get environment(): Record<string, string> {
    return { PERENNIAL_NOTIFY_URL: this.url, PERENNIAL_SECRET_NOTIFY_KEY: this.#key.toString('base64') };
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** After Standard Webhooks 1.0: HMAC-SHA256 of `id.time.body`. */
  #isSigned(headers: IncomingHttpHeaders, body: string): boolean {
    const said = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const expected = createHmac('sha256', this.#key).update(said).digest();
    const given = Buffer.from(String(headers['webhook-signature']).replace(/^v1,/, ''), 'base64');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
