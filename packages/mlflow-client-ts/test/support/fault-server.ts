import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';

/** A request as it arrived. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** How one request is answered. */
export type Reply = (response: ServerResponse, request: SeenRequest) => void;

/** A server that does what a test says, request by request. */
export interface FaultServer {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** Replies in order; the last one stays. Forgets what was seen. */
  script(...replies: Reply[]): void;
  close(): Promise<void>;
}

/** Answers JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Answers one of MLflow's errors. */
export function mlflowError(status: number, errorCode: string, headers: Record<string, string> = {}): Reply {
  return json(status, { error_code: errorCode, message: `told to answer ${status}` }, headers);
}

/** Breaks the connection after the request was read: the outcome stays open. */
export const hangUp: Reply = (response) => response.destroy();

/** Never answers. */
export const silence: Reply = () => undefined;

/** Starts the server. */
export async function startFaultServer(): Promise<FaultServer> {
  const seen: SeenRequest[] = [];
  let replies: Reply[] = [];
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    request.on('end', () => {
      const record: SeenRequest = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        at: Date.now(),
      };
      seen.push(record);
      const reply = replies.length > 1 ? replies.shift() : replies[0];
      (reply ?? json(500, { error_code: 'INTERNAL_ERROR', message: 'no script' }))(response, record);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    script: (...next) => {
      replies = next;
      seen.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
