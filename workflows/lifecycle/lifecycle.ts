import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  log,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import { type LifecycleResult, lifecycleInput } from '../../contracts/lifecycle.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type {
  ApprovalOutput,
  DeployOutput,
  EvaluateOutput,
  ExplainOutput,
  GatesOutput,
  ProtectOutput,
  RegisterOutput,
  SplitOutput,
} from '../../contracts/stages.ts';
import { columnProblem } from '../../domain/evaluation-columns.ts';
import { evidenceOf, failedGates, judgeGates, undecidedGates } from '../../domain/gates.ts';
import * as activities from '../activities.ts';
import { parseInput } from '../parse.ts';
import * as summaries from '../summaries.ts';
import { awaitApproval, checkApproval } from './approval.ts';
import { dataPart } from './data-part.ts';
import { deploy, precheck } from './deploy-stage.ts';
import { LifecycleRun } from './lifecycle-run.ts';
import { specAsOf } from './spec-as-of.ts';
import { trainedBySearch } from './train-stage.ts';

/** Longest workflow id of a run: with a run id it makes the id of its request to the endpoint, which has 300. */
const MAX_ID = 250;
const SAFE_ID = /^[\w.:/@-]+$/;

/**
 * The life of one model version, from raw files to a served model.
 *
 * @param argument see `lifecycleInput` in contracts/lifecycle.ts
 * @returns how it ended; a rejected candidate or a failed gate is a result, not a failure
 * @throws ApplicationFailure with a code of contracts/errors.ts
 */
export async function lifecycle(argument: unknown): Promise<LifecycleResult> {
  const run = new LifecycleRun(workflowInfo(), argument);
  try {
    const input = parseInput(lifecycleInput, argument, 'the argument of workflow lifecycle');
    checkId(run.identity.workflowId);
    run.takeOver(input.resume);
    const whole = parseInput(
      pipelineSpec,
      input.spec ?? (input.specRef && (await activities.loadSpec({ specRef: input.specRef })).spec),
      'the pipeline spec',
      'SpecInvalid',
    );
    const spec = input.asOf === undefined ? whole : specAsOf(whole, input.asOf);
    run.named(spec.name);
    run.author = input.author;
    await checkApproval(spec, input);
    const { code, startedBy } = input;
    const tracking = await activities.openTracking({ spec, code, startedBy, run: run.identity });
    run.tracked(tracking);

    const { ingest, validate, protect, split, prepared } = await dataPart(run, spec, tracking, input.cache);
    checkColumns(spec, protect, split);
    const trained = await run.stage('train', summaries.train, () =>
      trainedBySearch(spec, split, prepared, tracking, run.identity),
    );
    const evaluated = await run.stage('evaluate', summaries.evaluate, () =>
      activities.evaluate({
        ...{ spec, split, prepared, train: trained, tracking },
        ...(ingest.views ? { views: ingest.views } : {}),
      }),
    );
    const explain = patched(EXPLAINED)
      ? await run.stage('explain', summaries.explain, () =>
          explained({ spec, split, prepared, findings: protect.findings, evaluate: evaluated, tracking }),
        )
      : undefined;
    const gates = await run.stage('gates', summaries.gates, async () => judge(spec, evaluated));
    if (!gates.passed)
      return await run.end('gates_failed', `no deployment: ${failedGates(gates.results).join('; ')}`);

    // A cancellation in the middle would leave a version that nobody retires.
    const registered = await CancellationScope.nonCancellable(async () => {
      run.registering(spec.deployment.endpoint);
      const output = await run.stage('register', summaries.register, () =>
        activities.register({
          spec,
          code: input.code,
          run: run.identity,
          tracking,
          ingest,
          validate,
          protect,
          split,
          prepared,
          train: trained,
          evaluate: evaluated,
          ...(explain ? { explain } : {}),
          gates,
        }),
      );
      run.registered(output);
      return output;
    });

    const approval = await run.stage('approval', summaries.approval, () =>
      awaitApproval(run, spec, {
        candidate: evaluated.candidate,
        modelName: registered.modelName,
        version: registered.version,
        undecided: undecidedGates(gates.results),
      }),
    );
    if (approval.candidate !== evaluated.candidate)
      throw ApplicationFailure.nonRetryable(
        'the approval that was taken over is of another candidate; resume at approval or before',
        'InputInvalid',
      );
    if (approval.decision === 'rejected') return await endRejected(run, approval);

    const model = servedModel(evaluated, explain, registered);
    await run.stage('precheck', summaries.precheck, async () => {
      await keptOnline(whole);
      return precheck(spec, model, evaluated.samples);
    });
    const deployed = await run.stage('deploy', summaries.deploy, () =>
      deploy(
        run.identity,
        spec,
        model,
        split,
        evaluated.champion?.version ?? null,
        // Of a retraining the pipeline's own spec, not the one with the rows of this run.
        patched(WATCHED) ? { spec: whole, code: input.code } : undefined,
      ),
    );
    // What serves, serves: a cancellation that comes now does not make the run one that was cancelled.
    return await CancellationScope.nonCancellable(() => endDeployed(run, deployed));
  } catch (error) {
    await CancellationScope.nonCancellable(() => run.abort(error, isCancellation(error)));
    throw error;
  } finally {
    // Votes that arrived with the last task are answered before the run closes.
    // So is what they decided put into the audit log: while that is out, the run waits.
    await CancellationScope.nonCancellable(() => condition(() => run.handlersDone && run.trail.idle));
  }
}

/** Ids that are made from the run's own have limits too; better now than after days of training and approval. */
function checkId(workflowId: string): void {
  if (workflowId.length > MAX_ID || !SAFE_ID.test(workflowId))
    throw ApplicationFailure.nonRetryable(
      `the workflow id must be at most ${MAX_ID} letters, digits and . _ : / @ - (it becomes part of other names and of commands that people paste)`,
      'InputInvalid',
    );
}

/** A mistake in the names of columns is told before anything is trained. */
function checkColumns(
  { evaluation }: PipelineSpec,
  { actions }: ProtectOutput,
  { columns }: SplitOutput,
): void {
  const problem = columnProblem(
    evaluation,
    columns.map(({ name }) => name),
    actions.filter(({ action }) => action === 'drop').map(({ column }) => column),
  );
  if (problem) throw ApplicationFailure.nonRetryable(problem, 'ColumnMissing');
}

/** Runs that were judged before approvers could decide have ended where the champion could not be compared. */
const APPROVER_DECIDES = 'approver-decides';
/** Runs that came to their roll-out before endpoints were watched leave theirs as it is. */
const WATCHED = 'watched-by-rollout';
/** Runs that were started before there was this stage go on without it. */
const EXPLAINED = 'explained';

function judge({ evaluation, approval }: PipelineSpec, evaluated: EvaluateOutput): GatesOutput {
  const uncertain = evaluated.champion?.notComparable !== undefined;
  return judgeGates(evaluation.gates, evidenceOf(evaluated), {
    approverDecides: approval.required && uncertain && patched(APPROVER_DECIDES),
  });
}

/** A model that cannot be explained can be judged all the same: the run goes on, and says so. */
async function explained({
  evaluate: { winner, signature, samples },
  findings,
  ...input
}: Parameters<typeof activities.explain>[0]): Promise<ExplainOutput> {
  try {
    return await activities.explain({
      ...input,
      findings: findings.map(({ column }) => ({ column })),
      evaluate: { winner, signature, samples },
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const cause = error instanceof ActivityFailure ? error.cause : error;
    const message = cause instanceof Error ? cause.message : String(cause);
    log.warn('the winner could not be explained; the run goes on', { message });
    const nothing = { report: null, explainer: null, method: null, top: [], plots: [] };
    return { ...nothing, warning: `not explained: ${message.slice(0, 500)}` };
  }
}

/** Servers look the features up from the first request on. */
async function keptOnline(spec: PipelineSpec): Promise<void> {
  if (Object.keys(spec.featureViews).length === 0) return;
  await activities.materializeFeatures({
    pipeline: spec.name,
    spec,
    until: new Date().toISOString(),
  });
}

/** The run ends as the roll-out did, or leaves it to itself. */
function endDeployed(
  run: LifecycleRun,
  { endpoint, version, rollout }: DeployOutput,
): Promise<LifecycleResult> {
  return rollout.outcome === 'promoted'
    ? run.end(
        'deployed',
        [`version ${version} serves endpoint ${endpoint}`, ...(rollout.warnings ?? [])].join('; '),
      )
    : run.end(rollout.outcome, rollout.reason);
}

async function endRejected(run: LifecycleRun, approval: ApprovalOutput): Promise<LifecycleResult> {
  const timedOut = approval.votes.at(-1)?.how === 'policy';
  return run.end(timedOut ? 'approval_timed_out' : 'rejected', approval.reason);
}

const servedModel = (
  { winner, signature, samples }: EvaluateOutput,
  explain: ExplainOutput | undefined,
  { version, views }: RegisterOutput,
): ServedModel => ({
  version,
  onnx: winner.model,
  signature,
  ...(views ? { views } : {}),
  explanation: { samples, ...(explain?.explainer ? { explainer: explain.explainer } : {}) },
});
