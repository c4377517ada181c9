import { PerennialError } from '../contracts/errors.ts';
import { describeIssues } from '../contracts/issues.ts';
import { LINEAGE_FILE, loggedModelOf, type ModelLineage, parseLineage } from '../contracts/lineage.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { type MlflowClient, MlflowError } from '../packages/mlflow-client-ts/src/index.ts';

/** The `lineage.json` of a registered version. */
export async function lineageOfVersion(
  mlflow: MlflowClient,
  name: string,
  version: string,
): Promise<ModelLineage> {
  const no = (why: string, cause?: unknown): PerennialError =>
    new PerennialError('InputInvalid', `version ${version} of ${name} ${why}`, false, { cause });
  const unlessMissing = (words: string) => (error: unknown) => {
    if (error instanceof MlflowError && error.isNotFound) throw no(words, error);
    throw error;
  };
  const found = await mlflow.modelVersions
    .get({ name, version })
    .catch(unlessMissing('does not exist; list what there is with `perennial models`'));
  const modelId = loggedModelOf(found);
  if (modelId === undefined) throw no('was not registered by Perennial, so nobody knows what it was made of');
  const bytes = await mlflow.artifacts
    .downloadBytes({ modelId, path: LINEAGE_FILE })
    .catch(unlessMissing(`has no ${LINEAGE_FILE} in its model directory`));
  return parseLineage(Buffer.from(bytes).toString('utf8'), `version ${version} of ${name}`);
}

/**
 * A spec of then as this release reads it.
 *
 * @param of the version, such as `churn/3`
 * @param content the spec, or what was made of it
 * @throws PerennialError `SpecInvalid` where this release does not understand it
 */
export function specOfThen(
  { environment }: Pick<ModelLineage, 'environment'>,
  of: string,
  content: unknown,
): PipelineSpec {
  const parsed = pipelineSpec.safeParse(content);
  if (parsed.success) return parsed.data;
  throw new PerennialError(
    'SpecInvalid',
    `the spec of ${of}, which Perennial ${environment.perennial} registered, is not one that this release understands: ${describeIssues(parsed.error, content)}`,
  );
}
