import type { RunStatus } from '../../contracts/lifecycle.ts';
import { STAGES, type StageName, type StageOutputs } from '../../contracts/stages.ts';

const MAX_REFUSED = 20;

/** What a lifecycle run has done so far; plain state, tested without Temporal. Times come from the caller. */
export class RunProgress {
  readonly #status: RunStatus;
  /** Results of the stages, for the result, for a later retry, and for the query `outputs`. */
  readonly outputs: StageOutputs = {};
  /** Milliseconds spent waiting for a person. */
  waitedMs = 0;

  constructor(identity: { workflowId: string; runId: string }) {
    this.#status = {
      ...identity,
      pipeline: null,
      state: 'running',
      stage: null,
      stages: STAGES.map((name) => ({ name, state: 'pending' })),
      links: {},
      awaiting: null,
      refused: [],
      outcome: null,
      error: null,
    };
  }

  /** The answer of the query `status`. */
  get status(): RunStatus {
    return this.#status;
  }

  named(pipeline: string): void {
    this.#status.pipeline = pipeline;
  }

  link(name: string, url: string): void {
    this.#status.links[name] = url;
  }

  begin(stage: StageName, at: string): void {
    this.#status.stage = stage;
    this.#update(stage, { state: 'running', startedAt: at });
  }

  /** @param cachedAt when the output was computed, where the step cache had it */
  complete(stage: StageName, at: string, summary: string, cachedAt?: string): void {
    this.#update(
      stage,
      cachedAt === undefined
        ? { state: 'done', endedAt: at, summary }
        : { state: 'cached', endedAt: at, summary: `${summary} (unchanged since ${cachedAt})` },
    );
  }

  reuse(stage: StageName): void {
    this.#update(stage, { state: 'reused' });
  }

  awaiting(request: RunStatus['awaiting']): void {
    this.#status.awaiting = request;
    this.#status.state = request ? 'awaiting_approval' : 'running';
  }

  refuse(signal: string, reason: string, at: string): void {
    this.#status.refused.push({ signal, reason, at });
    if (this.#status.refused.length > MAX_REFUSED) this.#status.refused.shift();
  }

  /** The run is over with an outcome; stages that were not reached are `skipped`. */
  finish(outcome: NonNullable<RunStatus['outcome']>): void {
    this.#status.outcome = outcome;
    this.#status.state = 'done';
    this.#status.stage = null;
    this.#skipPending();
  }

  /** The run is over with an error, in the stage that is running. */
  fail(error: string, at: string, cancelled: boolean): void {
    this.#status.error = error;
    this.#status.state = cancelled ? 'cancelled' : 'failed';
    const running = this.#status.stages.find((stage) => stage.state === 'running');
    // One line for the stage; the whole error stands beside the stages.
    const [summary = ''] = error.slice(0, 300).split('\n', 1);
    if (running) this.#update(running.name, { state: 'failed', endedAt: at, summary });
    this.#skipPending();
  }

  #skipPending(): void {
    for (const stage of this.#status.stages) if (stage.state === 'pending') stage.state = 'skipped';
  }

  #update(name: StageName, change: Partial<RunStatus['stages'][number]>): void {
    const stage = this.#status.stages.find((item) => item.name === name);
    if (stage) Object.assign(stage, change);
  }
}
