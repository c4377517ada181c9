/** The typed client of Perennial's workflows. */
export { BatchClient } from './batch-scoring.ts';
export { executeUpdate } from './execute-update.ts';
export { materialize } from './features.ts';
export { startReproduction, statesOf } from './lineage-questions.ts';
export { type TracedVersion, tracedVersion } from './model-versions.ts';
export { PerennialClient, type RunSummary, type StartOptions } from './perennial-client.ts';
export { PipelineRetraining, retrainedPipelines } from './retraining.ts';
export { type ScheduleDetails, Schedules, type ScheduleView } from './schedules.ts';
export { type LoadedSpec, loadSpec } from './spec-file.ts';
export { TrainingSearch } from './training-search.ts';
export { compareVersions, type VersionComparison } from './version-comparison.ts';
