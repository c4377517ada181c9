/** The workflows of Perennial. A worker of your own adds `export * from 'perennial-mlops/workflow'` to its workflow module. */

export { backtest } from './backtest/backtest.ts';
export { batchScoring } from './batch-scoring.ts';
export { endpoint } from './endpoint/endpoint.ts';
export { modelServer } from './endpoint/model-server.ts';
export { erasure } from './erasure.ts';
export { eventLog } from './event-log.ts';
export { housekeeping } from './housekeeping.ts';
export { cache } from './lifecycle/cache.ts';
export { lifecycle } from './lifecycle/lifecycle.ts';
export { lineage } from './lifecycle/lineage.ts';
export { reproduction } from './lifecycle/reproduction.ts';
export { materialization } from './materialization.ts';
export { alertDelivery } from './monitoring/alert-delivery.ts';
export { monitor } from './monitoring/monitor.ts';
export { newData } from './retraining/new-data.ts';
export { retraining } from './retraining/retraining.ts';
export { retrainingTrigger } from './retraining/trigger.ts';
export { rollout } from './rollout/rollout.ts';
export { training } from './training/training.ts';
