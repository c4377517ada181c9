import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { delimiter, dirname, join } from 'node:path';

/** A request the store saw. */
export interface StoreRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly workspace: string | undefined;
}

/** A stand-in for S3: the other end of the presigned URLs of `parts_store.py`. */
export interface PartsStore {
  readonly url: string;
  readonly requests: StoreRequest[];
  /** Answers the next `count` requests with `status`. */
  failNext(count: number, status: number): void;
  close(): Promise<void>;
}

/** Environment with which a server finds `parts_store.py` and the store at `url`. */
export function partsStoreEnv(pythonPackage: string, root: string, url: string): Record<string, string> {
  const path = [pythonPackage, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  return { PYTHONPATH: path, PARTS_STORE_ROOT: root, PARTS_STORE_URL: url };
}

/** Starts the store over `root`. Only requests with signature and header are let in. */
export async function startPartsStore(root: string): Promise<PartsStore> {
  const requests: StoreRequest[] = [];
  let failures = { left: 0, status: 500 };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://store');
    const path = decodeURIComponent(url.pathname);
    requests.push({
      method: request.method ?? '',
      path,
      authorization: request.headers.authorization,
      workspace: request.headers['x-mlflow-workspace']?.toString(),
    });
    const answer = async (): Promise<void> => {
      const body = await readBody(request);
      if (failures.left > 0) {
        failures = { ...failures, left: failures.left - 1 };
        response.writeHead(failures.status).end('told to fail');
        return;
      }
      const allowed =
        url.searchParams.get('signature') === 'secret' && request.headers['x-store-permission'] === 'granted';
      if (!allowed) {
        response.writeHead(403).end('no permission');
        return;
      }
      const file = join(root, path);
      if (request.method === 'PUT') {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, body);
        response.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` }).end();
        return;
      }
      const data = await readFile(file);
      response.writeHead(200, { 'content-length': data.byteLength }).end(data);
    };
    answer().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    failNext: (count, status) => {
      failures = { left: count, status };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}
