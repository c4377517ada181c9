import { durationMs } from '../../contracts/durations.ts';
import type { RolloutStep } from '../../contracts/rollout.ts';
import type { RolloutSpec } from '../../contracts/spec/rollout.ts';

/** Where a roll-out has no step whose share probation could keep: the champion answers the rest, to compare with. */
const PROBATION_SHARE = 90;
const SECOND = 1_000;
/** A hold is looked at so many times. */
const LOOKS = 20;
/** The end of an A/B test lies days ahead. */
const AB_LOOKS = 1_000;

const within = (least: number, value: number, most: number): number => Math.min(Math.max(value, least), most);

/** Whether something is judged by truth. */
const judgesTruth = ({ guards }: RolloutSpec): boolean =>
  guards.quality !== false || guards.business !== false;

/**
 * The steps of a roll-out, in their order. `direct` without probation has none: the candidate takes over at once.
 * Shares are percentages, times milliseconds.
 *
 * @example rolloutSteps(rolloutSpec.parse({ strategy: 'canary' })).map(({ share }) => share) // [5, 25, 50]
 */
export function rolloutSteps(spec: RolloutSpec): RolloutStep[] {
  const steps = strategySteps(spec);
  if (!spec.probation) return steps;
  return [...steps, probationStep(spec, spec.probation, steps.at(-1))];
}

function strategySteps(spec: RolloutSpec): RolloutStep[] {
  const holdMs = durationMs(spec.hold);
  const { minRequests } = spec;
  const watched = {
    role: 'challenger',
    patienceMs: durationMs(spec.patience),
    needsTraffic: true,
    needsLabels: judgesTruth(spec) && !spec.probation,
  } as const;
  switch (spec.strategy) {
    case 'direct':
      return [];
    case 'canary':
      return spec.steps.map((step) => ({
        ...watched,
        name: 'canary',
        share: step.share,
        holdMs: durationMs(step.hold),
        minRequests: step.minRequests,
        lookMs: lookMs(durationMs(step.hold)),
      }));
    case 'blue-green':
      return [
        {
          ...watched,
          name: 'warm-up',
          share: 0,
          holdMs: 0,
          minRequests: 0,
          lookMs: SECOND,
          needsTraffic: false,
          needsLabels: false,
        },
        { ...watched, name: 'blue-green', share: 100, holdMs, minRequests, lookMs: lookMs(holdMs) },
      ];
    case 'shadow':
      return [
        {
          ...watched,
          name: 'shadow',
          role: 'shadow',
          share: spec.share ?? 100,
          holdMs,
          minRequests,
          lookMs: lookMs(holdMs),
        },
      ];
    case 'ab': {
      const end = durationMs(spec.end);
      return [
        {
          ...watched,
          name: 'ab',
          share: spec.share ?? 50,
          holdMs: 0,
          minRequests,
          patienceMs: end,
          lookMs: within(SECOND, end / AB_LOOKS, 60 * SECOND),
          needsLabels: true,
        },
      ];
    }
  }
}

const lookMs = (holdMs: number): number => within(SECOND, holdMs / LOOKS, 30 * SECOND);

function probationStep(
  spec: RolloutSpec,
  probation: NonNullable<RolloutSpec['probation']>,
  last: RolloutStep | undefined,
): RolloutStep {
  const kept = last === undefined || last.name === 'blue-green' ? PROBATION_SHARE : last.share;
  return {
    name: 'probation',
    share: probation.share ?? kept,
    role: last?.role ?? 'challenger',
    holdMs: 0,
    minRequests: 0,
    patienceMs: durationMs(probation.for),
    lookMs: durationMs(probation.look),
    needsLabels: true,
    // Elsewhere an earlier step has seen to it.
    needsTraffic: spec.strategy === 'direct',
  };
}
