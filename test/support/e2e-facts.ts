import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { z } from 'zod';
import { collect, MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';

/** What stands in MLflow about one registered model. */
export interface RegistryFacts {
  versions: { version: string; outcome: string | undefined; workflowId: string | undefined }[];
  aliases: Record<string, string>;
}

export async function registryFacts(mlflowUri: string, name: string): Promise<RegistryFacts> {
  const mlflow = new MlflowClient({ trackingUri: mlflowUri });
  const { aliases } = await mlflow.registeredModels.get({ name });
  const versions = await collect(mlflow.modelVersions.search({ filter: `name = '${name}'` }));
  return {
    versions: versions
      .map(({ version, tags }) => ({
        version,
        outcome: tags['perennial.outcome'],
        workflowId: tags['perennial.workflow_id'],
      }))
      .sort((a, b) => Number(a.version) - Number(b.version)),
    aliases: { ...aliases },
  };
}

/** Waits until the registry's alias is where the traffic is: it follows in the background. */
export async function aliasFollows(mlflowUri: string, name: string, version: string): Promise<void> {
  // Also before the tests of a file, where `expect.poll` is refused.
  await vi.waitFor(
    async () => expect((await registryFacts(mlflowUri, name)).aliases).toEqual({ champion: version }),
    { timeout: 60_000, interval: 100 },
  );
}

/** Runs of an experiment in MLflow: those of lifecycles, and those of candidates below them. */
export async function runFacts(mlflowUri: string, experiment: string, workflowId: string) {
  const mlflow = new MlflowClient({ trackingUri: mlflowUri });
  const experimentId = await mlflow.experiments.getOrCreate({ name: experiment });
  const own = await collect(
    mlflow.runs.search({
      experimentIds: [experimentId],
      filter: `tags.\`perennial.workflow_id\` = '${workflowId}'`,
    }),
  );
  const candidates = await Promise.all(
    own.map((run) =>
      collect(
        mlflow.runs.search({
          experimentIds: [experimentId],
          filter: `tags.\`mlflow.parentRunId\` = '${run.info.runId}'`,
        }),
      ),
    ),
  );
  const all = await collect(mlflow.loggedModels.search({ experimentIds: [experimentId] }));
  const models = all.filter((model) => own.some((run) => run.info.runId === model.sourceRunId));
  return {
    lifecycle: own.map((run) => run.info.status),
    candidates: candidates.flat().map((run) => `${run.info.runName}: ${run.info.status}`),
    loggedModels: models.length,
  };
}

const served = z.object({
  versions: z.array(z.string()),
  parameters: z.object({ generation: z.number(), loaded: z.array(z.object({ weight: z.number() }).loose()) }),
});

/** What a model server says about an endpoint: the versions that it has loaded, their weights, the generation. */
export async function servedFacts(serverUrl: string, endpoint: string) {
  const response = await fetch(`${serverUrl}/v2/models/${endpoint}`);
  const { versions, parameters } = served.parse(await response.json());
  return {
    versions,
    weights: parameters.loaded.map(({ weight }) => weight),
    generation: parameters.generation,
  };
}

/** Processes of this machine whose command line holds a text; how a test sees that no trainer is left. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

/** The file of a blob in the artifact store of a data directory; fails where it does not hold what its name says. */
export function storedBlob(dataDir: string, sha256: string): string {
  const path = join(dataDir, 'artifacts', 'sha256', sha256.slice(0, 2), sha256.slice(2));
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (found !== sha256) throw new Error(`${path} holds other bytes than its name says`);
  return path;
}
