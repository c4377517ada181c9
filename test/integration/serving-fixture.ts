import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { churnServed } from './serving-models.ts';

/** A request's answer; `body` is parsed where it is JSON. */
export interface Answer {
  status: number;
  body: unknown;
  text: string;
  headers: Record<string, unknown>;
}

/** The server's HTTP app over a store and a host of its own, asked without a socket. */
export class AppFixture {
  private constructor(
    readonly folder: string,
    readonly store: ArtifactStore,
    readonly host: ModelHost,
    readonly app: FastifyInstance,
    private readonly lines: string[],
  ) {}

  static async create(options: { token?: string } = {}): Promise<AppFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'serving-app-'));
    const store = await ArtifactStore.create(join(folder, 'store'));
    const lines: string[] = [];
    const write = (line: string): void => {
      lines.push(line);
    };
    const logger = pino({ level: 'debug' }, { write });
    const routesFile = join(folder, 'routes.json');
    const host = await ModelHost.create({ serverId: 's1', store, routesFile, logger });
    const app = createApp({ dataPlane: new DataPlane(host), logger, version: '9.9.9', ...options });
    return new AppFixture(folder, store, host, app, lines);
  }

  /** All that was logged so far. */
  get logged(): string {
    return this.lines.join('');
  }

  /** Sends all traffic of the endpoint `churn` to one version. */
  async serve(version = '3', generation = 1): Promise<void> {
    const model = await churnServed(this.store, version);
    await this.host.applyRoutes({ endpoint: 'churn', generation, routes: [{ model, weight: 100 }] });
  }

  get(url: string): Promise<Answer> {
    return this.#ask('GET', url);
  }

  post(url: string, payload: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    return this.#ask('POST', url, text, { 'content-type': 'application/json', ...headers });
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.host.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #ask(
    method: 'GET' | 'POST',
    url: string,
    payload?: string,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const answer = await this.app.inject({
      method,
      url,
      headers,
      ...(payload === undefined ? {} : { payload }),
    });
    return {
      status: answer.statusCode,
      body: parsed(answer.body),
      text: answer.body,
      headers: answer.headers,
    };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
