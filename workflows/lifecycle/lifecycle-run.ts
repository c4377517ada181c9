import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  ChildWorkflowFailure,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  type WorkflowInfo,
} from '@temporalio/workflow';
import { artifactDigests } from '../../contracts/artifact-digests.ts';
import type { AuditEntry } from '../../contracts/audit.ts';
import { stageCache } from '../../contracts/cache.ts';
import type { LifecycleResult, RunStatus } from '../../contracts/lifecycle.ts';
import type { RunIdentity, Tracking } from '../../contracts/run.ts';
import { type RegisterOutput, STAGES, type StageName, type StageOutputs } from '../../contracts/stages.ts';
import { closeTracking, retireCandidate } from '../activities.ts';
import { AuditTrail } from '../audit-trail.ts';
import { handlers } from '../handlers.ts';
import { searchAttributes } from '../search-attributes.ts';
import { Ballots } from './ballots.ts';
import { ReviewBoard } from './review-board.ts';
import { runDetails } from './run-details.ts';
import { RunProgress } from './run-progress.ts';

/** Runs that were started before there was an audit log go on without it, without notices, and without tags. */
const AUDITED = 'audited';

/** What the entries of the audit log are about. */
type Reviewed = Pick<AuditEntry, 'endpoint' | 'version' | 'candidate'>;

/** The moving parts of one lifecycle run: its handlers, its progress, and what must happen however it ends. */
export class LifecycleRun {
  readonly identity: RunIdentity;
  readonly board = new ReviewBoard();
  /** What the run writes into the audit log. */
  readonly trail: AuditTrail;
  /** Who started the run; `undefined` where nobody is known to have. */
  author: string | undefined;
  readonly #progress: RunProgress;
  readonly #argument: unknown;
  #tracking: Tracking | undefined;
  #registered: { modelName: string; version: string | null } | undefined;
  /** Outputs of an earlier run, for the stages that are not run again. */
  #earlier: StageOutputs = {};
  #reviewed: Reviewed = { endpoint: null, version: null, candidate: null };
  #audited: boolean | undefined;
  #voted = (): void => undefined;

  /** @param argument what the workflow was started with; a retry starts from it */
  constructor(info: WorkflowInfo, argument: unknown) {
    this.#argument = argument;
    this.identity = { workflowId: info.workflowId, runId: info.runId };
    this.#progress = new RunProgress(this.identity);
    this.trail = new AuditTrail(info.workflowId, undefined);
    const ballots = new Ballots({
      board: this.board,
      run: this.voteRun,
      refused: (signal, reason) => this.#progress.refuse(signal, reason, now()),
      note: (entry) => this.note(entry),
      voted: () => this.#voted(),
    });
    setHandler(handlers.status, () => this.status);
    setHandler(handlers.outputs, () => this.#progress.outputs);
    setHandler(handlers.input, () => argument);
    setHandler(handlers.approve, (signal) => ballots.signal('approve', signal));
    setHandler(handlers.reject, (signal) => ballots.signal('reject', signal));
    setHandler(handlers.review, (update) => ballots.review(update), {
      validator: (update) => ballots.check(update),
    });
    this.#show();
  }

  get status(): RunStatus {
    return this.#progress.status;
  }

  get handlersDone(): boolean {
    return allHandlersFinished();
  }

  /** The claim `run` of a signed vote. */
  get voteRun(): string {
    return `${this.identity.workflowId}/${this.identity.runId}`;
  }

  /** The page that approvers read; `null` before there is one. */
  get approvalPage(): string | null {
    return this.#progress.outputs.register?.approvalPage ?? null;
  }

  /** Whether the run writes into the audit log; asked once, since the answer must stay what it was. */
  get audited(): boolean {
    this.#audited ??= patched(AUDITED);
    return this.#audited;
  }

  /** From now on entries of the audit log are about this version. */
  reviewed(reviewed: Reviewed): void {
    this.#reviewed = reviewed;
  }

  /** Writes into the audit log. */
  note(entry: Pick<AuditEntry, 'action' | 'outcome' | 'by' | 'how' | 'reason'>): void {
    if (this.audited) this.trail.note({ ...this.#reviewed, ...entry });
  }

  /** @param show called with every vote that is taken down */
  whenVoted(show: () => void): void {
    this.#voted = show;
  }

  /** Takes the outputs of an earlier run over for the stages before `from`. */
  takeOver(resume: { from: StageName; outputs: StageOutputs } | undefined): void {
    if (!resume) return;
    const before = STAGES.slice(0, STAGES.indexOf(resume.from));
    const missing = before.find((stage) => resume.outputs[stage] === undefined);
    if (missing)
      throw ApplicationFailure.nonRetryable(
        `cannot resume at ${resume.from}: the earlier run has no output of stage ${missing}; resume at ${missing} or before`,
        'InputInvalid',
      );
    this.#earlier = Object.fromEntries(before.map((stage) => [stage, resume.outputs[stage]]));
  }

  named(pipeline: string): void {
    this.#progress.named(pipeline);
    upsertSearchAttributes([searchAttributes.pipeline(pipeline), searchAttributes.awaitingApproval(false)]);
    this.#show();
  }

  tracked(tracking: Tracking): void {
    this.#tracking = tracking;
    this.#progress.link('MLflow run', tracking.url);
    this.#show();
  }

  /** From now on there may be a version in the registry, also where the registration gives no answer. */
  registering(modelName: string): void {
    this.#registered = { modelName, version: null };
  }

  registered(registered: RegisterOutput): void {
    this.#registered = registered;
    upsertSearchAttributes([searchAttributes.modelVersion(`${registered.modelName}/${registered.version}`)]);
    if (registered.approvalPage) this.#progress.link('What you sign', registered.approvalPage);
    this.#show();
  }

  /**
   * Runs one stage, unless an earlier run has its output already.
   *
   * @param summary a line of numbers for people
   */
  async stage<K extends StageName>(
    name: K,
    summary: (output: NonNullable<StageOutputs[K]>) => string,
    work: () => Promise<NonNullable<StageOutputs[K]>>,
  ): Promise<NonNullable<StageOutputs[K]>> {
    const earlier = this.#earlier[name];
    if (earlier !== undefined) {
      this.#progress.outputs[name] = earlier;
      this.#progress.reuse(name);
      this.#show();
      return earlier as NonNullable<StageOutputs[K]>;
    }
    this.#progress.begin(name, now());
    upsertSearchAttributes([searchAttributes.stage(name)]);
    this.#show();
    const output = await work();
    this.#progress.outputs[name] = output;
    this.#progress.complete(name, now(), summary(output), cachedAt(output));
    this.#show();
    return output;
  }

  /** Keeps what a stage that may still refuse its own output has found: reports of a stopped run are not garbage. */
  keep<K extends StageName>(name: K, output: NonNullable<StageOutputs[K]>): void {
    this.#progress.outputs[name] = output;
  }

  /** Shows that the run waits for a person, or no longer does. */
  awaiting(request: RunStatus['awaiting']): void {
    this.#progress.awaiting(request);
    upsertSearchAttributes([searchAttributes.awaitingApproval(request !== null)]);
    this.#show();
  }

  /** Shows what became of a request meanwhile; that the run waits has been shown. */
  stillAwaiting(request: NonNullable<RunStatus['awaiting']>): void {
    this.#progress.awaiting(request);
    this.#show();
  }

  waited(milliseconds: number): void {
    this.#progress.waitedMs += milliseconds;
  }

  /** Ends the run with an outcome; a version that will not be deployed is marked so. */
  async end(outcome: LifecycleResult['outcome'], message: string): Promise<LifecycleResult> {
    if (outcome !== 'deployed') await this.#retire(outcome);
    await this.#close('FINISHED', outcome, message).catch((problem: unknown) => {
      // The version serves: a record that cannot be closed does not make the run a failed one.
      if (outcome !== 'deployed') throw problem;
      log.error(`the MLflow run could not be closed: ${rootMessage(problem)}`);
    });
    this.#progress.finish(outcome);
    this.#show();
    const { outputs } = this.#progress;
    return {
      outcome,
      pipeline: this.status.pipeline ?? '',
      message,
      modelName: outputs.register?.modelName ?? null,
      version: outputs.register?.version ?? null,
      candidate: outputs.evaluate?.candidate ?? null,
      waitedMs: this.#progress.waitedMs,
      outputs,
    };
  }

  /**
   * Leaves nothing half done behind a failure or a cancellation. A clean-up that fails is logged: it must neither
   * hide why the run ended nor keep the next one from being done.
   */
  async abort(error: unknown, cancelled: boolean): Promise<void> {
    const message = cancelled ? 'cancelled' : rootMessage(error);
    this.#progress.awaiting(null);
    this.#progress.fail(message, now(), cancelled);
    this.#show();
    if (this.status.pipeline) upsertSearchAttributes([searchAttributes.awaitingApproval(false)]);
    const outcome = cancelled ? 'cancelled' : 'failed';
    const cleanUps = [
      () => this.#retire(outcome),
      () => this.#close(cancelled ? 'KILLED' : 'FAILED', outcome, message),
    ];
    for (const cleanUp of cleanUps)
      await cleanUp().catch((problem: unknown) =>
        log.error(`clean-up after the run failed: ${rootMessage(problem)}`),
      );
  }

  async #retire(why: string): Promise<void> {
    if (this.#registered && !this.#progress.outputs.deploy)
      await retireCandidate({
        modelName: this.#registered.modelName,
        run: this.identity,
        version: this.#registered.version,
        why,
      });
  }

  async #close(status: 'FINISHED' | 'FAILED' | 'KILLED', outcome: string, message: string): Promise<void> {
    if (this.#tracking)
      await closeTracking({
        tracking: this.#tracking,
        run: this.identity,
        status,
        outcome,
        message,
        artifacts: artifactDigests([this.#progress.outputs, this.#argument]),
      });
  }

  #show(): void {
    setCurrentDetails(runDetails(this.status));
  }
}

/** When the output of a stage was stored, where it came from the step cache. */
function cachedAt(output: object): string | undefined {
  const cache = 'cache' in output ? stageCache.optional().parse(output.cache) : undefined;
  return cache?.hit ? (cache.storedAt ?? undefined) : undefined;
}

/** Workflow time: deterministic in the sandbox. */
const now = (): string => new Date().toISOString();

/** The innermost message, which is the one that was written for people. */
function rootMessage(error: unknown): string {
  if ((error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause)
    return rootMessage(error.cause);
  return error instanceof Error ? error.message : String(error);
}
