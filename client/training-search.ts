import type { Client } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
import type { RunStatus } from '../contracts/lifecycle.ts';
import { QUERIES, trainingWorkflowId, UPDATES } from '../contracts/names.ts';
import { lowerIsBetter } from '../contracts/spec/evaluation.ts';
import { type BudgetUpdate, type SearchReport, searchReport, trialLabel } from '../contracts/trials.ts';
import { executeUpdate } from './execute-update.ts';
import { answerOf } from './found.ts';

/**
 * The search for the best model of one run, while it goes on and afterwards.
 *
 * @example
 * const search = await perennial.training(workflowId);
 * await search.change({ trials: 100, parallelism: 4 });
 */
export class TrainingSearch {
  readonly #workflowId: string;

  /** @param runId of the lifecycle run */
  constructor(
    private readonly temporal: Client,
    private readonly lifecycle: string,
    runId: string,
  ) {
    this.#workflowId = trainingWorkflowId(lifecycle, runId);
  }

  /** Trials so far, what was used up, the best ones. @throws PerennialError where the run has not come to training */
  async report(): Promise<SearchReport> {
    return searchReport.parse(await this.#known(this.#handle.query(QUERIES.search)));
  }

  /** Another budget, or another number of trials side by side. */
  async change(update: BudgetUpdate): Promise<SearchReport> {
    return searchReport.parse(
      await this.#known(executeUpdate(this.#handle, UPDATES.budget, { args: [update] })),
    );
  }

  /** No further trial begins, those that run are ended; the run goes on with the best model so far. */
  async stop(): Promise<SearchReport> {
    return searchReport.parse(await this.#known(executeUpdate(this.#handle, UPDATES.stop)));
  }

  get #handle() {
    return this.temporal.workflow.getHandle(this.#workflowId);
  }

  #known<T>(answer: Promise<T>): Promise<T> {
    return answerOf(
      answer,
      (ended, cause) =>
        new PerennialError(
          'InputInvalid',
          ended
            ? `the training of run ${this.lifecycle} has ended already`
            : `run ${this.lifecycle} has not come to its stage train; look at it with \`perennial status ${this.lifecycle}\``,
          false,
          { cause },
        ),
    );
  }
}

/** A search in one line, for example "12 trials, best roc_auc 0.9049 (lightgbm-7)". */
export function searchSummary({ metric, used, trials }: SearchReport): string {
  const sign = lowerIsBetter(metric) ? 1 : -1;
  const [best] = trials
    .flatMap((trial) =>
      trial.state === 'trained' && trial.value !== null ? [{ ...trial, value: trial.value }] : [],
    )
    .sort((a, b) => sign * (a.value - b.value));
  const count = `${used.trials} trial${used.trials === 1 ? '' : 's'}`;
  return best ? `${count}, best ${metric} ${best.value.toFixed(4)} (${trialLabel(best)})` : count;
}

/** The status with how far the search is, while the run trains. */
export async function withSearch(temporal: Client, status: RunStatus): Promise<RunStatus> {
  const training = status.stages.find(({ name, state }) => name === 'train' && state === 'running');
  if (!training) return status;
  const search = new TrainingSearch(temporal, status.workflowId, status.runId);
  const report = await search.report().catch(() => undefined);
  if (!report) return status;
  const stages = status.stages.map((stage) =>
    stage === training ? { ...stage, summary: searchSummary(report) } : stage,
  );
  return { ...status, stages };
}
