import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { PerennialClient } from '../client/perennial-client.ts';
import { Platform } from '../client/platform/platform.ts';
import { configFromEnv } from '../lib/config.ts';
import { openStore } from '../lib/store/open-store.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { type FleetGround, watchedFleet } from '../test/support/watched-fleet.ts';

/** Endpoints with a version each and settings, on a platform of their own; nothing has been looked at. */
export interface SoakGround extends FleetGround {
  platform: Platform;
  endpoints: string[];
  close(): Promise<void>;
}

/** A platform with one trained model, registered under the names of many endpoints. */
export async function soakGround(
  folder: string,
  fleet: { endpoints: number; monitoring: object },
): Promise<SoakGround> {
  mkdirSync(folder, { recursive: true });
  const dataDir = join(folder, 'data');
  const platform = await Platform.start({ dataDir, ports: {}, sourceRoots: [folder] });
  try {
    const { temporalAddress, namespace, mlflowUri = '' } = platform.status();
    const connection = await Connection.connect({ address: temporalAddress });
    const config = configFromEnv({ ...process.env, PERENNIAL_DATA_DIR: dataDir });
    const ground: FleetGround = {
      perennial: new PerennialClient(new Client({ connection, namespace })),
      mlflow: new MlflowClient({ trackingUri: mlflowUri }),
      store: (await openStore(config)).within(join(folder, 'scratch')),
      config,
      folder,
    };
    const endpoints = await watchedFleet(ground, fleet);
    const close = async (): Promise<void> => {
      await connection.close();
      await platform.stop();
    };
    return { ...ground, platform, endpoints, close };
  } catch (error) {
    await platform.stop();
    throw error;
  }
}
