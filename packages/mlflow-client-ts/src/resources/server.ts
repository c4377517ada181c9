import { read } from '../http/spec.ts';
import type { CallOptions, RequestSpec, Transport } from '../http/transport.ts';
import { type ServerInfo, serverInfoSchema } from '../schemas/server.ts';

/** The server itself. */
export class Server {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * The server's MLflow version.
   *
   * @example
   * ```ts
   * console.log(await client.server.version()); // "3.17.2"
   * ```
   */
  async version(options?: CallOptions): Promise<string> {
    return (await this.#transport.text(rootGet('server.version', '/version'), options)).trim();
  }

  /** Succeeds when the server answers its health check. */
  async health(options?: CallOptions): Promise<void> {
    return this.#transport.command(rootGet('server.health', '/health'), options);
  }

  /** What the server says about itself: store, workspaces, multipart. Since MLflow 3. */
  async info(options?: CallOptions): Promise<ServerInfo> {
    return this.#transport.json(
      rootGet('server.info', '/api/3.0/mlflow/server-info'),
      serverInfoSchema,
      options,
    );
  }
}

function rootGet(operation: string, path: string): RequestSpec {
  return { ...read(operation, ''), target: { path } };
}
