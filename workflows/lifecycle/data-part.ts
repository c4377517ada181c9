import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { CachePolicy } from '../../contracts/cache.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { CacheOptions } from '../../contracts/lifecycle.ts';
import type { Tracking } from '../../contracts/run.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type {
  IngestOutput,
  PrepareOutput,
  ProtectOutput,
  SplitOutput,
  StageName,
  ValidateOutput,
} from '../../contracts/stages.ts';
import { validationProblem } from '../../domain/validation.ts';
import * as activities from '../activities.ts';
import * as summaries from '../summaries.ts';
import type { LifecycleRun } from './lifecycle-run.ts';

/** What the data part of a run hands to training. */
export interface PreparedData {
  ingest: IngestOutput;
  validate: ValidateOutput;
  protect: ProtectOutput;
  split: SplitOutput;
  prepared: PrepareOutput;
}

/**
 * From raw sources to matrices: ingest, validate, protect, split, prepare. What the checks found is in MLflow before
 * it stops the run.
 */
export async function dataPart(
  run: LifecycleRun,
  spec: PipelineSpec,
  tracking: Tracking,
  options: CacheOptions,
): Promise<PreparedData> {
  const cacheFor = (stage: StageName): CachePolicy => ({
    mode: !(spec.cache.enabled && options.use) ? 'off' : options.refresh.includes(stage) ? 'refresh' : 'use',
    ttl: spec.cache.maxAge,
  });
  const ingest = await run.stage('ingest', summaries.ingest, () =>
    activities.ingest({ spec, cache: cacheFor('ingest') }),
  );
  const validate = await run.stage('validate', summaries.validate, async () => {
    // Asked only where it is compared with: a new champion would make the check of unchanged data a new one.
    const { champion } = spec.expectations.some((rule) => rule.expect === 'distribution')
      ? await activities.championTraining({ modelName: spec.deployment.endpoint })
      : { champion: null };
    const output = await activities.validate({
      spec,
      ingest,
      champion,
      asOf: workflowInfo().startTime.toISOString(),
      cache: cacheFor('validate'),
    });
    await activities.recordArtifacts({
      tracking,
      artifacts: [
        { path: 'validation/report.json', artifact: output.report },
        { path: 'validation/report.html', artifact: output.page },
      ],
    });
    run.keep('validate', output);
    stopAt('ValidationFailed', validationProblem(output.results));
    return output;
  });
  const protect = await run.stage('protect', summaries.protect, async () => {
    const output = await activities.protect({ spec, ingest, validate, cache: cacheFor('protect') });
    run.keep('protect', output);
    if (output.refusal) stopAt(output.refusal.code, output.refusal.message);
    return output;
  });
  const split = await run.stage('split', summaries.split, async () => {
    const output = await activities.split({ spec, protect, cache: cacheFor('split') });
    run.keep('split', output);
    stopAt('ValidationFailed', validationProblem(output.overlap));
    return output;
  });
  // Also where the stages were taken over: every MLflow run names its data.
  await activities.recordData({ tracking, spec, ingest, protect, split });
  const prepared = await run.stage('prepare', summaries.prepare, () =>
    activities.prepare({ spec, split, cache: cacheFor('prepare') }),
  );
  return { ingest, validate, protect, split, prepared };
}

function stopAt(code: ErrorCode, problem: string | undefined): void {
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, code);
}
