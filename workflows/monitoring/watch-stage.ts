import { log } from '@temporalio/workflow';
import type { CodeVersion } from '../../contracts/lifecycle.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { ensureRetraining, watchEndpoint } from '../activities.ts';
import { words } from '../failure-words.ts';

/**
 * A version is in production: its endpoint is watched as the spec says, and the pipeline's workflow `retraining` knows the
 * spec. What the spec does not ask for any more comes to its end, also where an earlier one had asked.
 *
 * @param spec the pipeline's own, also where the run was a retraining on other rows
 * @returns what could not be done, in words; the version serves all the same
 */
export async function watch(spec: PipelineSpec, code: CodeVersion): Promise<string[]> {
  const problems: string[] = [];
  const tried = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn(`${what}: ${words(error)}`);
      problems.push(`${what}: ${words(error)}`);
    }
  };
  const { name: pipeline, retraining } = spec;
  await tried('the endpoint is not watched by the spec', async () => {
    const { specRef } = await watchEndpoint({ spec, since: new Date().toISOString() });
    if (retraining)
      await tried('the pipeline is not trained anew by the spec', () =>
        ensureRetraining({ settings: { pipeline, specRef, retraining, code, clock: 'wall' } }),
      );
  });
  if (!retraining)
    await tried('the retraining of the pipeline did not come to its end', () =>
      ensureRetraining({
        settings: null,
        pipeline,
        reason: 'the spec of the version in production has no section retraining any more',
      }),
    );
  return problems;
}
