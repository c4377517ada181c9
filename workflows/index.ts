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
export { reproduction } from './reproduction.ts';
export { rollout } from './rollout.ts';
export { training } from './training.ts';
