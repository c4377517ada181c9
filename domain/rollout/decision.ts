import type { GuardVerdict, RolloutStep } from '../../contracts/rollout.ts';
import type { VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { GuardName, RolloutSpec } from '../../contracts/spec/rollout.ts';
import { countText, figure } from './guards/words.ts';

const TRAFFIC_GUARDS = ['invalidOutputs', 'errorRate', 'latency', 'predictions'] as const;
const TRUTH_GUARDS = ['quality', 'business'] as const;

/** What happens next, and why in a sentence. */
export interface StepDecision {
  next: 'hold' | 'advance' | 'rollback';
  reason: string;
}

/**
 * Decides what follows from a look at a step.
 *
 * 1. A breach rolls back at once, also in a pause, whatever else is missing.
 * 2. In a pause, and before the step was held long enough, nothing else is decided.
 * 3. The step is over where it has its requests and every guard that it needs has passed; a guard without a verdict
 *    has not. An A/B test needs one guard on truth besides that says better.
 * 4. Beyond its patience it is rolled back for the lack of data; probation and A/B test, where nothing but truth is
 *    missing, end as `undecided` says.
 * 5. A warm-up is over when the champion's window has the samples that the guards will need of it after the switch.
 *
 * @param input.elapsedMs of the step, without the time in which it was paused
 * @param input.requests `champion` is `null` where there is none
 */
export function decideStep({
  plan,
  step,
  elapsedMs,
  paused,
  requests,
  verdicts,
  baseline,
}: {
  plan: RolloutSpec;
  step: RolloutStep;
  elapsedMs: number;
  paused: boolean;
  requests: { candidate: number; champion: number | null };
  verdicts: readonly GuardVerdict[];
  /** What the champion did before a blue-green switch; `undefined`: nothing is known. */
  baseline?: VersionTraffic | undefined;
}): StepDecision {
  const name = `${step.name} at ${figure(step.share)} %`;
  const [breach, ...others] = verdicts.filter(({ state }) => state === 'breached');
  if (breach) return { next: 'rollback', reason: breachText(name, breach, others) };
  if (paused) return { next: 'hold', reason: `${name} is paused` };
  if (elapsedMs < step.holdMs)
    return {
      next: 'hold',
      reason: `${name} is held for ${spanText(step.holdMs)}; ${spanText(elapsedMs)} have passed`,
    };
  const traffic = [
    ...(step.name === 'warm-up' ? lackingBaseline(plan, baseline) : lackingRequests(step, requests)),
    ...lackingGuards(plan, step.needsTraffic ? TRAFFIC_GUARDS : [], verdicts),
  ];
  const lacks = [...traffic, ...lackingGuards(plan, step.needsLabels ? TRUTH_GUARDS : [], verdicts)];
  const undecided = lacks.length === 0 ? undecidedTest(step, requests, verdicts) : undefined;
  if (undecided !== undefined) lacks.push(undecided);
  if (lacks.length === 0)
    return {
      next: 'advance',
      reason: `${name} passed after ${spanText(elapsedMs)} and ${countText(requests.candidate)} requests${passedText(verdicts)}`,
    };
  if (elapsedMs < step.patienceMs) return { next: 'hold', reason: `${name} waits: ${lacks.join('; ')}` };
  const end = `after ${spanText(step.patienceMs)}: ${lacks.join('; ')}`;
  if ((step.name !== 'probation' && step.name !== 'ab') || traffic.length > 0)
    return { next: 'rollback', reason: `not enough data for ${name} ${end}` };
  return {
    next: plan.undecided === 'promote' ? 'advance' : 'rollback',
    reason: `${name} is undecided, which means ${plan.undecided}, ${end}`,
  };
}

function breachText(name: string, breach: GuardVerdict, others: readonly GuardVerdict[]): string {
  const { since, until } = breach.window;
  const also = others.length > 0 ? `; so are ${others.map(({ guard }) => guard).join(', ')}` : '';
  return `guard ${breach.guard} is breached in ${name}, window ${since} to ${until}: ${breach.message}${also}`;
}

/** Requests that are still missing. After a blue-green switch the champion has none of its own. */
function lackingRequests(
  { name, minRequests }: RolloutStep,
  { candidate, champion }: { candidate: number; champion: number | null },
): string[] {
  const of = (who: string, count: number): string[] =>
    count < minRequests ? [`${countText(count)} of ${countText(minRequests)} requests of the ${who}`] : [];
  return [
    ...of('candidate', candidate),
    ...(champion === null || name === 'blue-green' ? [] : of('champion', champion)),
  ];
}

/** What the champion's window lacks; after the switch nothing can be added to it. */
function lackingBaseline({ guards }: RolloutSpec, baseline: VersionTraffic | undefined): string[] {
  const { errorRate, invalidOutputs, latency, predictions } = guards;
  const wanted = [errorRate, invalidOutputs, latency].map((guard) => (guard ? guard.minRequests : 0));
  const requests = Math.max(...wanted);
  const rows = predictions ? predictions.minRows : 0;
  const of = (what: string, count: number, needed: number): string[] =>
    count < needed
      ? [`${countText(count)} of ${countText(needed)} ${what} of the champion before the switch`]
      : [];
  return [...of('requests', baseline?.requests ?? 0, requests), ...of('rows', baseline?.rows ?? 0, rows)];
}

/** Guards that the step needs and that have not passed. */
function lackingGuards(
  plan: RolloutSpec,
  needed: readonly GuardName[],
  verdicts: readonly GuardVerdict[],
): string[] {
  return needed
    .filter((guard) => plan.guards[guard] !== false)
    .flatMap((guard) => {
      const verdict = verdicts.find((one) => one.guard === guard);
      if (!verdict) return [`${guard}: no verdict yet`];
      return verdict.state === 'waiting' ? [verdict.message] : [];
    });
}

/** Why an A/B test whose guards have all passed is not over; without a champion it has nothing to find out. */
function undecidedTest(
  { name }: RolloutStep,
  { champion }: { champion: number | null },
  verdicts: readonly GuardVerdict[],
): string | undefined {
  if (name !== 'ab' || champion === null) return undefined;
  if (verdicts.some(({ state }) => state === 'better')) return undefined;
  const messages = verdicts
    .filter(({ guard }) => guard === 'quality' || guard === 'business')
    .map(({ message }) => message);
  return `neither is significantly better: ${messages.join('; ')}`;
}

function passedText(verdicts: readonly GuardVerdict[]): string {
  const better = verdicts.filter(({ state }) => state === 'better');
  if (better.length > 0) return `; better by ${better.map(({ message }) => message).join('; ')}`;
  const passed = verdicts.filter(({ state }) => state === 'passed');
  return passed.length > 0 ? `; ${passed.map(({ guard }) => guard).join(', ')} passed` : '';
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** `10m`, `1.5h`; three digits. */
function spanText(milliseconds: number): string {
  const unit = UNITS.find(([, length]) => milliseconds >= length);
  return unit
    ? `${Number((milliseconds / unit[1]).toPrecision(3))}${unit[0]}`
    : `${Math.round(milliseconds)}ms`;
}
