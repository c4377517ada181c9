import type { PerennialActivities } from '../contracts/activities.ts';
import { ACTIVITY_PREFIX } from '../contracts/names.ts';
import { proposed } from '../trainers/proposals.ts';
import { approvalActivities } from './approvals.ts';
import { backtestActivities } from './backtest/index.ts';
import { batchActivities } from './batch-scoring.ts';
import { aliasActivities } from './champion.ts';
import { dataActivities } from './data.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { deploymentActivities } from './deployment.ts';
import { erasureActivities } from './erasure.ts';
import { evaluate } from './evaluate.ts';
import { eventActivities } from './event-log.ts';
import { explain } from './explain.ts';
import { finishCandidate } from './finish-candidate.ts';
import { framed } from './frame.ts';
import { housekeepingActivities } from './housekeeping.ts';
import { lineageActivities } from './lineage.ts';
import { materializeFeatures } from './materialize-features.ts';
import { monitoringActivities } from './monitoring/index.ts';
import { rolloutActivities } from './observe-truth.ts';
import { register } from './register.ts';
import { remoteTrials } from './remote-trial.ts';
import { retrainingActivities } from './retraining.ts';
import { cacheActivities } from './step-cache.ts';
import { runTracking } from './tracking.ts';
import { trainTrial } from './train-trial.ts';

/** All activities of a worker, under their plain names. */
export function createActivities(deps: ActivityDependencies): PerennialActivities {
  const { config } = deps;
  return {
    ...dataActivities(deps),
    ...eventActivities(deps),
    trainTrial: framed(config, (input, frame) => trainTrial(deps, input, frame)),
    proposeTrials: framed(config, async (question, { signal }) => ({
      proposals: await proposed(question, { python: config.python, signal }),
    })),
    ...remoteTrials(deps),
    finishCandidate: framed(config, (input, frame) => finishCandidate(deps, input, frame)),
    evaluate: framed(config, (input, frame) => evaluate(deps, input, frame)),
    explain: framed(config, (input, frame) => explain(deps, input, frame)),
    ...runTracking(deps),
    register: framed(config, (input, frame) => register(deps, input, frame)),
    ...aliasActivities(deps),
    ...approvalActivities(deps),
    ...deploymentActivities(deps),
    ...rolloutActivities(deps),
    ...housekeepingActivities(deps),
    ...erasureActivities(deps),
    ...cacheActivities(deps),
    ...lineageActivities(deps),
    ...batchActivities(deps),
    ...monitoringActivities(deps),
    ...backtestActivities(deps),
    ...retrainingActivities(deps),
    materializeFeatures: framed(config, (input, frame) => materializeFeatures(deps, input, frame)),
  };
}

/** Activities under the names that they are registered by: prefixed, so that none of a worker's own is replaced. */
export const registered = (activities: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [`${ACTIVITY_PREFIX}${name}`, activity]),
  );
