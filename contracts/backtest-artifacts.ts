import { z } from 'zod';
import { openAlert } from './alerts.ts';
import { backtestPolicy, backtestRun, backtestStep } from './backtest.ts';
import type { WatchedSpec } from './backtest-activities.ts';
import { observedWindow, verdict } from './monitoring.ts';
import { artifactRef } from './refs.ts';
import type { LoadableModel } from './registered-version.ts';
import { pendingReason, retrainingState } from './retraining.ts';

/*
 * What the activities of a back-test hand to each other through the store. The workflow sees references: a thousand
 * windows under ten policies would fit into no history.
 */

const moment = z.iso.datetime({ offset: true });
const index = z.number().int().nonnegative();

/** What a back-test goes by; written once. */
export const backtestSettings = z.strictObject({
  /** As the plan parsed it. */
  spec: z.custom<WatchedSpec>((spec) => typeof spec === 'object' && spec !== null),
  windows: z.array(observedWindow),
  policies: z.array(
    z.strictObject({
      policy: backtestPolicy,
      /** Indexes of the windows in which its schedule starts a run. */
      scheduled: z.array(index),
    }),
  ),
  /** How many windows later the truth about one is known. */
  delayWindows: index,
});
export type BacktestSettings = z.infer<typeof backtestSettings>;

/** A model of the past as windows are measured with it. */
export const backtestModel = z.strictObject({
  /** The moment as of which it was trained. */
  name: z.string(),
  model: z.custom<LoadableModel>((model) => typeof model === 'object' && model !== null),
  /** Its answers for all rows from then on, in time order, in the columns of the view `labelled`. */
  scored: artifactRef,
  /** `referenceProfile` of its own training and test rows. */
  reference: artifactRef,
  /** Its training rows, in the columns of the table. */
  trained: artifactRef,
});
export type BacktestModel = z.infer<typeof backtestModel>;

/** What a monitor said at the end of a window. */
export const backtestVerdicts = z.array(verdict);

/** A run that a policy asked for. */
const training = z.strictObject({
  due: z.strictObject({ workflowId: z.string(), reasons: z.array(pendingReason), asOf: moment }),
  champion: z.string(),
});

/** Where a policy stands. */
export const policyPlace = z.strictObject({
  state: z.strictObject({
    done: index,
    deployed: z.array(z.strictObject({ model: z.string(), since: moment })),
    judgedThrough: z.string().nullable(),
    open: z.array(openAlert),
    book: retrainingState.nullable(),
    runs: z.array(backtestRun),
  }),
  /** The run that has begun and not ended. */
  training: training.nullable(),
  /** Models that it has had in production, by name. */
  models: z.record(z.string(), artifactRef),
  /** The windows that it has gone through, the latest first: {@link policySteps}. */
  steps: artifactRef.nullable(),
});
export type PolicyPlace = z.infer<typeof policyPlace>;

/** Some windows of a policy, and where those before them are. */
export const policySteps = z.strictObject({
  before: artifactRef.nullable(),
  steps: z.array(backtestStep),
});
