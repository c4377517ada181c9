import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import {
  type BatchProgress,
  type BatchScoringInput,
  type BatchScoringResult,
  batchProgress,
  batchScoringInput,
  batchScoringResult,
} from '../contracts/batch-scoring.ts';
import { PerennialError } from '../contracts/errors.ts';
import { describeIssues } from '../contracts/issues.ts';
import { QUERIES, WORKFLOW_TYPES } from '../contracts/names.ts';

/**
 * Starts batches and follows them.
 *
 * @example
 * const batches = new BatchClient(new Client({ connection }), 'perennial');
 * const { workflowId } = await batches.start({ model: 'churn', source: '/data/customers.csv', output: '/data/scores/' });
 * const result = await batches.result(workflowId);
 */
export class BatchClient {
  constructor(
    private readonly temporal: Client,
    private readonly taskQueue: string,
  ) {}

  /**
   * @param input relative paths mean folders of the worker, not of the caller
   * @param workflowId default `score-<model>-<time>-<random>`
   * @throws PerennialError `InputInvalid`
   */
  async start(input: BatchScoringInput, workflowId?: string): Promise<{ workflowId: string }> {
    const parsed = batchScoringInput.safeParse(input);
    if (!parsed.success) throw new PerennialError('InputInvalid', describeIssues(parsed.error, input));
    const id = workflowId ?? newId(parsed.data.model);
    await this.temporal.workflow.start(WORKFLOW_TYPES.batchScoring, {
      taskQueue: this.taskQueue,
      workflowId: id,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: `Score rows with ${parsed.data.model}`,
    });
    return { workflowId: id };
  }

  /** How far a batch is. */
  async progress(workflowId: string): Promise<BatchProgress> {
    return batchProgress.parse(await this.temporal.workflow.getHandle(workflowId).query(QUERIES.progress));
  }

  /** Waits for a batch. @throws WorkflowFailedError */
  async result(workflowId: string): Promise<BatchScoringResult> {
    return batchScoringResult.parse(await this.temporal.workflow.getHandle(workflowId).result());
  }
}

const newId = (model: string): string =>
  `score-${model}-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}-${randomBytes(2).toString('hex')}`;
