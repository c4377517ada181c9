import { PerennialError } from '../contracts/errors.ts';
import type { LoadableModel } from '../contracts/registered-version.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { collect, type MlflowClient, MlflowError } from '../packages/mlflow-client-ts/src/index.ts';
import { loadableModel } from './champion.ts';

/** Versions that a message names. */
const NAMED = 20;

/**
 * A version that somebody names, from the registry.
 *
 * @throws PerennialError `InputInvalid` where there is none, or where Perennial did not register it
 */
export async function registeredModel(
  mlflow: MlflowClient,
  store: ArtifactStore,
  name: string,
  version: string,
): Promise<LoadableModel> {
  const found = await mlflow.modelVersions.get({ name, version }).catch(async (error: unknown) => {
    if (!(error instanceof MlflowError) || error.retryable) throw error;
    const filter = `name = '${name.replaceAll("'", '')}'`;
    const known = await collect(mlflow.modelVersions.search({ filter, limit: NAMED }));
    const names = known.map((one) => one.version).sort((a, b) => Number(a) - Number(b));
    throw new PerennialError(
      'InputInvalid',
      `version ${version} of ${name} was never registered${names.length > 0 ? `; there are ${names.join(', ')}` : ''}`,
      false,
      { cause: error },
    );
  });
  const model = await loadableModel(mlflow, store, found);
  if (model) return model;
  throw new PerennialError(
    'InputInvalid',
    `version ${version} of ${name} was not registered by Perennial, so that it cannot be asked`,
  );
}
