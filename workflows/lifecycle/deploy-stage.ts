import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { durationMs } from '../../contracts/durations.ts';
import { rolloutWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { ServerCheck } from '../../contracts/prechecks.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { RolloutInput, RolloutResult } from '../../contracts/rollout.ts';
import type { RunIdentity } from '../../contracts/run.ts';
import type { ModelServerInfo, ServedModel, ServingPolicy } from '../../contracts/serving.ts';
import { sizeBytes } from '../../contracts/sizes.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { DeployOutput, PrecheckOutput, SplitOutput } from '../../contracts/stages.ts';
import * as activities from '../activities.ts';
import { liveServers } from '../endpoint/model-servers.ts';

/** Every live server loads the model and answers as the evaluation did, before any traffic moves. */
export async function precheck(
  spec: PipelineSpec,
  model: ServedModel,
  samples: ArtifactRef,
): Promise<PrecheckOutput> {
  const { rows, tolerance, maxLatency, maxMemory, requests, hostile } = spec.deployment.precheck;
  const { entityColumn } = spec.deployment.serving;
  if (entityColumn !== undefined && !model.signature.inputs.some(({ name }) => name === entityColumn))
    throw ApplicationFailure.nonRetryable(
      `deployment.serving.entityColumn: the model has no input ${entityColumn}; name one of its inputs, or leave it out and let clients send the header perennial-entity`,
      'SpecInvalid',
    );
  const servers = await liveServers();
  const checks = servers.map((server) =>
    activities.serverActivities(server.taskQueue).precheck({
      endpoint: spec.deployment.endpoint,
      model,
      samples,
      rows,
      tolerance,
      maxLatencyMs: durationMs(maxLatency),
      maxMemoryBytes: sizeBytes(maxMemory) ?? Number.MAX_SAFE_INTEGER,
      requests,
      hostile,
    }),
  );
  return { servers: await passed(servers, checks) };
}

/** The answers of all checks. A server that went away meanwhile does not count, unless it was the last one. */
async function passed(
  servers: readonly ModelServerInfo[],
  checks: readonly Promise<ServerCheck>[],
): Promise<ServerCheck[]> {
  const answers = await Promise.allSettled(checks);
  const refusals = answers.flatMap((answer, i) =>
    answer.status === 'rejected' ? [{ serverId: servers[i]?.serverId, reason: answer.reason }] : [],
  );
  if (refusals.length === 0) return Promise.all(checks);
  const live = (await activities.listModelServers({})).servers;
  const refused = refusals.find(({ serverId }) => live.some((server) => server.serverId === serverId));
  if (refused) throw refused.reason;
  if (refusals.length === checks.length)
    throw ApplicationFailure.nonRetryable(
      'every model server went away during the pre-deployment check; start one, then `perennial retry`',
      'ServerUnavailable',
    );
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

/**
 * Starts the roll-out, which lives by itself, and waits for its end as long as the spec says. A cancellation ends the
 * wait, not the roll-out.
 *
 * @param watch by what the endpoint is watched when the candidate is in production, however long that takes
 * @returns how it ended, or `rolling_out`
 */
export async function deploy(
  identity: RunIdentity,
  spec: PipelineSpec,
  model: ServedModel,
  { classNames, positiveClass }: Pick<SplitOutput, 'classNames' | 'positiveClass'>,
  judgedAgainst: string | null,
  watch?: RolloutInput['watch'],
): Promise<DeployOutput> {
  const workflowId = rolloutWorkflowId(identity.workflowId, identity.runId);
  const { endpoint, rollout: plan } = spec.deployment;
  const input: RolloutInput = {
    endpoint,
    model,
    policy: servingPolicy(spec),
    plan,
    task: spec.task,
    classNames,
    positiveClass,
    judgedAgainst,
    requestedBy: identity.workflowId,
    ...(watch ? { watch } : {}),
  };
  let result: RolloutResult | undefined;
  let problem: unknown;
  await CancellationScope.nonCancellable(async () => {
    const child = await startChild<(argument: RolloutInput) => Promise<RolloutResult>>(
      WORKFLOW_TYPES.rollout,
      {
        workflowId,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        staticSummary: `Roll-out of version ${model.version} to ${endpoint}, ${plan.strategy}`,
      },
    );
    child.result().then(
      (value) => {
        result = value;
      },
      (error: unknown) => {
        problem = error;
      },
    );
  });
  const ended = await condition(
    () => result !== undefined || problem !== undefined,
    durationMs(plan.wait),
  ).catch((error: unknown) => {
    if (isCancellation(error)) return false;
    throw error;
  });
  const open = {
    endpoint,
    version: model.version,
    generation: null,
    previousVersion: judgedAgainst,
    servers: [],
  };
  if (problem !== undefined && !isCancellation(problem)) throw problem;
  if (problem !== undefined)
    return {
      ...open,
      rollout: { workflowId, outcome: 'withdrawn', reason: 'the roll-out was cancelled' },
    };
  if (ended && result)
    return {
      endpoint,
      version: model.version,
      generation: result.generation,
      previousVersion: result.previousVersion,
      servers: result.servers,
      rollout: {
        workflowId,
        outcome: result.outcome,
        reason: result.reason,
        ...(result.warnings ? { warnings: result.warnings } : {}),
      },
    };
  return {
    ...open,
    rollout: {
      workflowId,
      outcome: 'rolling_out',
      reason: `the roll-out of version ${model.version} to ${endpoint} goes on; look at it with perennial endpoint ${endpoint}`,
    },
  };
}

/** How the endpoint is to treat requests, in the words of its traffic table. */
function servingPolicy({ deployment: { serving } }: PipelineSpec): ServingPolicy {
  const { deadline, ...policy } = serving;
  return { ...policy, deadlineMs: durationMs(deadline) };
}
