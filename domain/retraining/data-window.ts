import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';

/**
 * The spec of a retraining: that of the pipeline.
 *
 * @param _asOf event time, ISO 8601
 * @param _delay how long after a prediction its truth is known
 */
export const retrainingSpecOf = (spec: PipelineSpec, _asOf: string, _delay: string | null): PipelineSpec =>
  spec;
