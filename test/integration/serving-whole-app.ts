import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { EventBatch } from '../../contracts/events.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import { Explainers } from '../../serving/explaining/explainers.ts';
import type { EventSink } from '../../serving/http/event-routes.ts';
import { ModelHost } from '../../serving/model-host.ts';
import type { RequestLimits } from '../../serving/request-limits.ts';
import { Access, type AccessSettingsInput } from '../../serving/security/access.ts';
import { EXPLAINING } from '../support/patience.ts';
import { PredictionLogFixture, quiet } from '../support/prediction-log-fixture.ts';
import { churnServed } from './serving-models.ts';

/** What {@link WholeApp.create} takes. */
interface WholeAppOptions {
  readonly access?: AccessSettingsInput;
  readonly requests?: Partial<RequestLimits>;
}

/**
 * The server's app with all routes that there are: prediction log, explanations, and events before a log in memory
 * (what Temporal answers is tested where it runs).
 */
export class WholeApp {
  private constructor(
    readonly app: FastifyInstance,
    readonly host: ModelHost,
    readonly fixture: PredictionLogFixture,
    private readonly explainers: Explainers,
    private readonly access: Access | undefined,
  ) {}

  static async create({ access: settings, requests }: WholeAppOptions = {}): Promise<WholeApp> {
    const fixture = await PredictionLogFixture.create();
    const { store, config } = fixture;
    const routesFile = join(config.dataDir, 'routes.json');
    const host = await ModelHost.create({ serverId: 'whole', store, routesFile, logger: quiet });
    const explainers = new Explainers(store, EXPLAINING);
    const access = settings && (await Access.create(settings, quiet));
    const sink: EventSink = {
      store: (rows, format, batchId) => storeRows(rows, format, { store, dataDir: config.dataDir, batchId }),
      append: async (log, { batchId, rows }: EventBatch) => ({
        log,
        batchId,
        offset: 0,
        rows,
        duplicate: false,
      }),
      send: async () => undefined,
    };
    const app = createApp({
      dataPlane: new DataPlane(host),
      logger: quiet,
      version: '9.9.9',
      access,
      requests,
      explainers,
      feedback: await fixture.log(),
      events: { sink },
    });
    return new WholeApp(app, host, fixture, explainers, access);
  }

  /** Sends all traffic of an endpoint to the churn model, with what explains it. */
  async serve(endpoint = 'churn'): Promise<void> {
    const { store } = this.fixture;
    const rows = [
      { age: 30, city: 'Ulm', active: 1, joined: 1_700_000_000 },
      { age: 61, city: 'Bonn', active: 0, joined: 1_500_000_000 },
    ];
    const model: ServedModel = {
      ...(await churnServed(store, '3')),
      explanation: { samples: await store.putJson({ rows, expected: {} }) },
    };
    await this.host.applyRoutes({ endpoint, generation: 1, routes: [{ model, weight: 100 }] });
  }

  /** Begins to listen, and tells where. */
  listen(): Promise<string> {
    return this.app.listen({ host: '127.0.0.1', port: 0 });
  }

  async close(): Promise<void> {
    await this.app.close();
    this.explainers.close();
    this.access?.close();
    await this.host.close();
    await this.fixture.close();
  }
}
