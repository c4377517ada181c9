import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { QUERIES, retrainingWorkflowId, UPDATES, WORKFLOW_TYPES } from '../contracts/names.ts';
import {
  type RetrainingAnswer,
  type RetrainingDecision,
  type RetrainingStatus,
  retrainingDecision,
  retrainingStatus,
  type Trigger,
} from '../contracts/retraining.ts';
import { executeUpdate } from './execute-update.ts';

/**
 * The retraining of one pipeline: when its model is trained anew, and why.
 *
 * @example
 * const retraining = new PipelineRetraining(perennial.temporal, 'churn');
 * const { decision, why } = await retraining.trigger({ kind: 'demand', reason: 'new prices', by: 'ada' });
 */
export class PipelineRetraining {
  constructor(
    private readonly temporal: Client,
    readonly pipeline: string,
  ) {}

  /**
   * Tells a reason to train.
   *
   * @returns what is decided now: a run begins, or the reason waits and for what, or it is none
   */
  async trigger(trigger: Trigger): Promise<RetrainingDecision> {
    return retrainingDecision.parse(
      await this.#known(executeUpdate(this.#handle, UPDATES.trigger, { args: [trigger] })),
    );
  }

  /** Reasons that wait, runs, and the latest 100 decisions. */
  async status(): Promise<RetrainingStatus> {
    return retrainingStatus.parse(await this.#known(this.#handle.query(QUERIES.retraining)));
  }

  /** Pauses it, or lets it go on, also after it gave up. */
  async answer(answer: RetrainingAnswer): Promise<RetrainingStatus> {
    return retrainingStatus.parse(
      await this.#known(executeUpdate(this.#handle, UPDATES.answer, { args: [answer] })),
    );
  }

  get #handle() {
    return this.temporal.workflow.getHandle(retrainingWorkflowId(this.pipeline));
  }

  async #known<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause) throw error.cause;
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const known = await retrainedPipelines(this.temporal).catch(() => []);
      const hint = nearest(this.pipeline, known);
      throw new PerennialError(
        'InputInvalid',
        `no pipeline ${this.pipeline} is retrained${hint ? `; did you mean ${hint}?` : ''} ${known.length > 0 ? `Retrained are: ${known.slice(0, 20).join(', ')}` : 'Give its spec a section retraining, and run it with `perennial run`'}`,
        false,
        { cause: error },
      );
    }
  }
}

/** The pipelines that have a retraining, in the order of their names. */
export async function retrainedPipelines({ workflow: workflows }: Client): Promise<string[]> {
  const prefix = retrainingWorkflowId('');
  const found: string[] = [];
  const query = `WorkflowType = '${WORKFLOW_TYPES.retraining}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of workflows.list({ query }))
    if (workflowId.startsWith(prefix)) found.push(workflowId.slice(prefix.length));
  return found.sort();
}
