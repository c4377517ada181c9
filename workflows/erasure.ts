import { ApplicationFailure, CancellationScope, sleep, uuid4, workflowInfo } from '@temporalio/workflow';
import { type ErasurePlan, type ErasureResult, erasureInput } from '../contracts/erasure.ts';
import type { ErrorCode } from '../contracts/errors.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { ErasureStep } from '../contracts/upkeep-activities.ts';
import { MAX_ROUNDS, mergedFindings } from '../domain/erasure.ts';
import * as activities from './activities.ts';
import { parseInput } from './parse.ts';
import { ERASURE_POLL } from './policies.ts';

/**
 * Takes one person out of all stores. First nobody lets the person in any more; then everything is looked through,
 * written anew, and looked through again until there is nothing left. Who it is stands in an encrypted artifact, which
 * is deleted at the end; a history holds counts, names of pipelines and models, and digests.
 */
export async function erasure(argument: unknown): Promise<ErasureResult> {
  const input = parseInput(erasureInput, argument, 'the argument of workflow erasure');
  const { request, dryRun, wait, by, reason } = input;
  const step: ErasureStep = { request, certificate: uuid4() };
  const at = workflowInfo().startTime.toISOString();
  /** What the erasure itself stores of the person. */
  const ownArtifacts = new Map<string, ArtifactRef>([[request.sha256, request]]);

  const looked = async (): Promise<ErasurePlan> => {
    const plan = await activities.planErasure(step);
    ownArtifacts.set(plan.plan.sha256, plan.plan);
    return plan;
  };

  try {
    if (dryRun) {
      const { findings } = await looked();
      return { certificate: null, complete: findings.unsearched.length === 0, ...findings };
    }
    await activities.suppressPerson({ ...step, at });
    const rounds: ErasurePlan[] = [];
    let pause: number = ERASURE_POLL.firstMs;
    for (;;) {
      const plan = await looked();
      if (plan.steps > 0 && plan.running.length > 0) {
        if (!wait) throw blocked(plan);
        await sleep(pause);
        pause = Math.min(pause * 1.5, ERASURE_POLL.lastMs);
        continue;
      }
      const { taken } =
        plan.steps > 0
          ? await activities.erasePerson({ plan: plan.plan, certificate: step.certificate })
          : { taken: true };
      if (taken) rounds.push(plan);
      if (plan.steps === 0 || rounds.length === MAX_ROUNDS) break;
    }
    const findings = mergedFindings(rounds.map((round) => round.findings));
    const nothingLeft = rounds.at(-1)?.steps === 0;
    return await activities.certifyErasure({
      certificate: step.certificate,
      at,
      by,
      reason,
      complete: nothingLeft && findings.unsearched.length === 0,
      findings,
    });
  } finally {
    await CancellationScope.nonCancellable(() =>
      activities.forgetRequest({ certificate: step.certificate, artifacts: [...ownArtifacts.values()] }),
    );
  }
}

function blocked({ running, findings }: ErasurePlan): ApplicationFailure {
  const code: ErrorCode = 'ErasureBlocked';
  return ApplicationFailure.nonRetryable(
    `the person was found in the rows of ${findings.pipelines.join(', ')}, and workflows that read or keep them are going on: ${running.join(', ')}. Nothing was erased yet. Wait for their end or cancel them, then erase again; or erase with --wait`,
    code,
  );
}
