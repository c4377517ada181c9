import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import type { RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer, type ModelServerOptions } from '../../serving/server.ts';
import { MemoryFeatures } from './memory-features.ts';
import { EXPLAINING } from './patience.ts';
import { spending, viewModel, viewPrediction } from './view-model.ts';

export const MINUTE = 60_000;
/** A key that no double holds. */
export const BIG = '9007199254740993';

/** What the model says of an amount of 1 by the events of {@link shopEvents}. */
export const ANN = viewPrediction(1, 1, 5);
export const SEVENTEEN = viewPrediction(1, 1, 4);
export const NOBODY = viewPrediction(1, 0, undefined);
export const WITHOUT_KEY = viewPrediction(1, undefined, undefined);
export const DEFAULTS = viewPrediction(1, 7, undefined);

/** Events of some customers, the last of them minutes ago. */
export function shopEvents(options?: { afterMs?: number }): MemoryFeatures {
  const features = new MemoryFeatures(options);
  const now = Date.now();
  const { store } = spending();
  features.add(store, 'ann', now - 10 * MINUTE, 2);
  features.add(store, 'ann', now - 90 * MINUTE, 3);
  features.add(store, '17', now - MINUTE, 4);
  features.add(store, 'true', now - MINUTE, 5);
  features.add(store, BIG, now - MINUTE, 6);
  return features;
}

/** An answer over HTTP; `predictions` are those of its rows. */
export interface ShopAnswer {
  readonly status: number;
  readonly predictions: readonly unknown[];
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** Where it listens. */
type Asked = Pick<ModelServer, 'url'>;

/** A tensor of the shape of its data. */
export interface ShopTensor {
  readonly name: string;
  readonly datatype: string;
  readonly data: readonly unknown[];
}

const answered = z.record(z.string(), z.unknown());
const predicted = z.object({ predictions: z.array(z.object({ prediction: z.number().nullable() })) });
const inferred = z.object({ outputs: z.array(z.object({ data: z.array(z.number().nullable()) })) });

/** Servers of models with feature views, over HTTP, with an artifact store of their own. */
export class ShopFixture {
  readonly #lines: string[] = [];
  readonly #servers: ModelServer[] = [];

  private constructor(
    readonly folder: string,
    readonly store: ArtifactStore,
  ) {}

  static async create(): Promise<ShopFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'serving-features-'));
    return new ShopFixture(folder, await ArtifactStore.create(join(folder, 'store')));
  }

  /** All that servers logged so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  async open(options: Partial<ModelServerOptions>): Promise<ModelServer> {
    const server = await ModelServer.create({
      serverId: 'here',
      store: this.store,
      logger: pino({ level: 'debug' }, { write: (line: string) => void this.#lines.push(line) }),
      explaining: EXPLAINING,
      ...options,
    });
    this.#servers.push(server);
    return server;
  }

  /** A server of the endpoint `shop` with one version; default that of {@link viewModel}. */
  async serve(
    features: MemoryFeatures | undefined,
    model?: ServedModel,
    table: Partial<RouteTableInput> = {},
    options: Partial<ModelServerOptions> = {},
  ): Promise<ModelServer> {
    const server = await this.open({ features, ...options });
    const sole = model ?? (await viewModel(this.store, '1'));
    const routes = [{ model: sole, weight: 100 }];
    await server.applyRoutes({ endpoint: 'shop', generation: 1, routes, ...table });
    return server;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export async function post(
  { url }: Asked,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<ShopAnswer> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  const parsed = answered.parse(JSON.parse(await response.text()));
  const rows = predicted.safeParse(parsed);
  const tensors = inferred.safeParse(parsed);
  return {
    status: response.status,
    predictions: rows.success
      ? rows.data.predictions.map(({ prediction }) => prediction)
      : (tensors.data?.outputs[0]?.data ?? []),
    body: parsed,
    headers: response.headers,
  };
}

/** Rows as objects. */
export const records = (...rows: object[]): object => ({ dataframe_records: rows });

export const invoke = (server: Asked, body: unknown, headers?: Record<string, string>): Promise<ShopAnswer> =>
  post(server, '/invocations', typeof body === 'string' ? body : JSON.stringify(body), headers);

export const infer = (
  server: Asked,
  tensors: readonly ShopTensor[],
  more: object = {},
): Promise<ShopAnswer> => {
  const inputs = tensors.map((tensor) => ({ ...tensor, shape: [tensor.data.length] }));
  return post(server, '/v2/models/shop/infer', JSON.stringify({ inputs, ...more }));
};

/** The value of a metric whose line begins so. */
export async function metric(server: Asked, start: string): Promise<number | undefined> {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const line = page.split('\n').find((candidate) => candidate.startsWith(start));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
}

export const rowsFrom = (server: Asked, outcome: string): Promise<number | undefined> =>
  metric(server, `perennial_feature_rows_total{endpoint="shop",view="spending",outcome="${outcome}"}`);
