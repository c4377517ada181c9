import { join } from 'node:path';
import type { RouteTableInput } from '../../contracts/serving.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import type { PredictionLog, PredictionLogOptions } from '../../serving/log/prediction-log.ts';
import { ModelHost } from '../../serving/model-host.ts';
import { churnServed } from '../integration/serving-models.ts';
import { type PredictionLogFixture, quiet } from './prediction-log-fixture.ts';

/** A host of a real model with its data plane and a log that listens; asked without HTTP. */
export class ServingWithLog {
  private constructor(
    readonly host: ModelHost,
    readonly dataPlane: DataPlane,
    readonly log: PredictionLog,
  ) {}

  static async create(
    fixture: PredictionLogFixture,
    options: Partial<PredictionLogOptions> = {},
    table: Partial<RouteTableInput> = {},
  ): Promise<ServingWithLog> {
    const routesFile = join(fixture.config.dataDir, 'routes.json');
    const host = await ModelHost.create({ serverId: 's1', store: fixture.store, routesFile, logger: quiet });
    const dataPlane = new DataPlane(host);
    const log = await fixture.log('s1', options);
    dataPlane.listen(log);
    const model = await churnServed(fixture.store, '3');
    await host.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }], ...table });
    return new ServingWithLog(host, dataPlane, log);
  }

  /** Predicts so many rows, or one for each city, as a route does. */
  async ask(requestId: string, asked: number | readonly string[] = 1, entity?: string): Promise<void> {
    const cities = typeof asked === 'number' ? new Array<string>(asked).fill('Ulm') : [...asked];
    const rows = cities.length;
    const arrived = performance.now();
    const prediction = await this.dataPlane.predict({
      endpoint: 'churn',
      requestId,
      entity,
      arrived,
      header: () => undefined,
      read: () => ({
        rows,
        columns: new Map<string, Float32Array | Float64Array | string[]>([
          ['age', new Float32Array(rows).fill(40)],
          ['city', cities],
          ['active', new Float32Array(rows)],
          ['joined', new Float64Array(rows)],
        ]),
      }),
    });
    for (const listener of this.dataPlane.listeners)
      listener.answered?.(prediction, (performance.now() - arrived) / 1000);
  }
}
