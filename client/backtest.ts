import type { Client } from '@temporalio/client';
import {
  type BacktestInput,
  type BacktestPolicy,
  type BacktestResult,
  backtestResult,
} from '../contracts/backtest.ts';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { WORKFLOW_TYPES } from '../contracts/names.ts';
import { type RetrainingSpec, retrainingSpec } from '../contracts/spec/retraining.ts';

/** Nothing is a reason. */
const NOTHING = {
  degradation: false,
  conceptDrift: false,
  dataDrift: false,
  predictionDrift: false,
  estimatedDegradation: false,
};

/** What the policies of a name ask for; the rest is as the spec's own. */
const POLICIES: Readonly<Record<string, { words: string; on: object | null }>> = {
  never: { words: 'the first model stays', on: null },
  weekly: { words: 'each Monday', on: { ...NOTHING, schedule: '0 0 * * 1' } },
  monthly: { words: 'on the first of each month', on: { ...NOTHING, schedule: '0 0 1 * *' } },
  quarterly: { words: 'on the first of each quarter', on: { ...NOTHING, schedule: '0 0 1 1,4,7,10 *' } },
  'on-drift': {
    words: 'when the features or the answers drift',
    on: { ...NOTHING, dataDrift: true, predictionDrift: true },
  },
  'on-degradation': { words: 'when the quality is beyond a limit', on: { ...NOTHING, degradation: true } },
  'on-estimate': {
    words: 'when the estimated quality is beyond a limit',
    on: { ...NOTHING, estimatedDegradation: true },
  },
  'on-concept-drift': { words: 'when the error changes', on: { ...NOTHING, conceptDrift: true } },
  spec: { words: 'as retraining in the spec says', on: {} },
};

/** Names of policies, with what they do. */
export const POLICY_WORDS: readonly (readonly [string, string])[] = Object.entries(POLICIES).map(
  ([name, { words }]) => [name, words],
);

/**
 * Policies by their names. Beside the reasons for a retraining all is as in the spec: its window of rows, cool-down,
 * limits.
 *
 * @param own `retraining` of the spec
 * @throws PerennialError `InputInvalid` for a name that is none
 * @example policiesOf(['never', 'monthly'], spec.retraining)
 */
export function policiesOf(names: readonly string[], own: RetrainingSpec | undefined): BacktestPolicy[] {
  const base = own ?? retrainingSpec.parse({});
  return names.map((name) => {
    const policy = Object.hasOwn(POLICIES, name) ? POLICIES[name] : undefined;
    if (!policy) {
      const meant = nearest(name, Object.keys(POLICIES));
      throw new PerennialError(
        'InputInvalid',
        `there is no policy ${name}${meant ? `; did you mean ${meant}?` : ''} There are ${Object.keys(POLICIES).join(', ')}`,
      );
    }
    if (policy.on === null) return { name, retraining: null };
    if (name === 'spec') return { name, retraining: base };
    return { name, retraining: retrainingSpec.parse({ ...base, on: policy.on }) };
  });
}

/**
 * Replays recorded data under several policies, and waits for what comes of it.
 *
 * @example
 * const { advice } = await backtest(client, 'perennial', id, { spec, policies: policiesOf(['never', 'monthly'], undefined), from, to });
 */
export async function backtest(
  client: Client,
  taskQueue: string,
  workflowId: string,
  input: BacktestInput,
): Promise<BacktestResult> {
  const result = await client.workflow.execute(WORKFLOW_TYPES.backtest, {
    workflowId,
    taskQueue,
    args: [input],
    staticSummary: `Back-test of ${input.policies.map(({ name }) => name).join(', ')}`,
  });
  return backtestResult.parse(result);
}
