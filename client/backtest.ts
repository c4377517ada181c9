import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import {
  type BacktestInput,
  type BacktestPolicy,
  type BacktestProgress,
  type BacktestResult,
  backtestProgress,
  backtestResult,
} from '../contracts/backtest.ts';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { QUERIES, WORKFLOW_TYPES } from '../contracts/names.ts';
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

/** How often a back-test is asked how far it is. */
const LOOK_EVERY_MS = 1_000;

/**
 * Replays recorded data under several policies, and waits for what comes of it.
 *
 * @param onProgress told how far it is, whenever that has changed; an error of it ends nothing
 * @example
 * const { advice } = await backtest(client, 'perennial', id, { spec, policies: policiesOf(['never', 'monthly'], undefined), from, to });
 */
export async function backtest(
  client: Client,
  taskQueue: string,
  workflowId: string,
  input: BacktestInput,
  onProgress?: (progress: BacktestProgress) => void,
): Promise<BacktestResult> {
  const handle = await client.workflow.start(WORKFLOW_TYPES.backtest, {
    workflowId,
    taskQueue,
    args: [input],
    staticSummary: `Back-test of ${input.policies.map(({ name }) => name).join(', ')}`,
  });
  const ended = new AbortController();
  const looking = onProgress ? look(client, workflowId, onProgress, ended.signal) : Promise.resolve();
  try {
    return backtestResult.parse(await handle.result());
  } finally {
    ended.abort();
    await looking;
  }
}

/** Asks until it has ended. Where nobody answers, a moment later somebody does: it is only for show. */
async function look(
  client: Client,
  workflowId: string,
  onProgress: (progress: BacktestProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  let shown = '';
  while (!signal.aborted) {
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // Without a run id: it may have continued as new.
    const answer = await client.workflow
      .getHandle(workflowId)
      .query(QUERIES.progress)
      .catch(() => undefined);
    const progress = backtestProgress.safeParse(answer).data;
    const text = JSON.stringify(progress);
    if (!progress || text === shown || signal.aborted) continue;
    shown = text;
    onProgress(progress);
  }
}

/**
 * What is new of a back-test, in lines: its stage, and where a policy has gone on.
 *
 * @param before what was shown last
 * @example progressLines(undefined, progress) // ['reading the data']
 */
export function progressLines(before: BacktestProgress | undefined, now: BacktestProgress): string[] {
  const lines: string[] = before?.stage === now.stage ? [] : [now.stage];
  if (now.stage !== 'replaying') return lines;
  const width = Math.max(...now.policies.map(({ policy }) => policy.length));
  for (const [i, { policy, done, retrainings, training }] of now.policies.entries()) {
    const last = before?.policies[i];
    if (last && last.done === done && last.training === training) continue;
    const trained = retrainings === 1 ? '1 retraining' : `${retrainings} retrainings`;
    const doing = training === null ? '' : `; training as of ${training.slice(0, 10)}`;
    // After a continuation nothing is known for a moment.
    if (done < (last?.done ?? 0) || (done === 0 && training === null)) continue;
    lines.push(`${policy.padEnd(width)}  ${done} of ${now.windows} windows, ${trained}${doing}`);
  }
  return lines;
}
