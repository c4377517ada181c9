import type { CodeVersion } from '../contracts/lifecycle.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import { ensureRetraining, watchEndpoint } from './activities.ts';

/**
 * After a deployment: the endpoint is watched as the spec says, and the pipeline's workflow `retraining` knows the spec.
 *
 * @param spec the pipeline's own, also where this run was a retraining on other rows
 */
export async function watch(spec: PipelineSpec, code: CodeVersion): Promise<void> {
  const { specRef } = await watchEndpoint({ spec, since: new Date().toISOString() });
  const { retraining } = spec;
  if (!retraining) return;
  await ensureRetraining({
    settings: { pipeline: spec.name, specRef, retraining, code, clock: 'wall' },
  });
}
