/** The workflows of Perennial. A worker of your own adds `export * from 'perennial-mlops/workflow'` to its workflow module. */
export { alertDelivery } from './alert-delivery.ts';
export { batchScoring } from './batch-scoring.ts';
export { cache } from './cache.ts';
export { endpoint } from './endpoint.ts';
export { erasure } from './erasure.ts';
export { eventLog } from './event-log.ts';
export { housekeeping } from './housekeeping.ts';
export { lifecycle } from './lifecycle.ts';
export { lineage } from './lineage.ts';
export { modelServer } from './model-server.ts';
export { monitor } from './monitor.ts';
export { newData } from './new-data.ts';
export { reproduction } from './reproduction.ts';
export { retraining } from './retraining.ts';
export { retrainingTrigger } from './retraining-trigger.ts';
export { rollout } from './rollout.ts';
export { training } from './training.ts';
