import type {
  PendingReason,
  RetrainingDecision,
  RetrainingState,
  RetrainingTick,
  ToldTrigger,
} from '../../contracts/retraining.ts';
import type { RetrainingSpec, TriggerKind } from '../../contracts/spec/retraining.ts';
import { isoOf } from './limits.ts';
import { outdatedBy, skipOf, withReason } from './reasons.ts';
import { refuted, settled } from './runs.ts';

/** What became of a trigger: the state with it, and where it is none by the rules, the decision that says so. */
export interface Taken {
  state: RetrainingState;
  skip: RetrainingDecision | null;
}

/** The key of the spec that asks for a kind. */
const KEYS: Readonly<Record<Exclude<TriggerKind, 'demand'>, keyof RetrainingSpec['on']>> = {
  schedule: 'schedule',
  'new-data': 'newData',
  'data-drift': 'dataDrift',
  'prediction-drift': 'predictionDrift',
  'concept-drift': 'conceptDrift',
  degradation: 'degradation',
  'estimated-degradation': 'estimatedDegradation',
  age: 'maxAge',
};

/** Whether the spec takes a kind for a reason to train; a demand always is one. */
export const isWanted = ({ on }: RetrainingSpec, kind: TriggerKind): boolean => {
  if (kind === 'demand') return true;
  const asked = on[KEYS[kind]];
  return asked !== undefined && asked !== false;
};

/**
 * Takes a reason in. The same kind again is the same reason, told more often. One that the spec does not ask for, and one
 * about a version that is not in production any more, is skipped. One about a version that a run brought, of the kind that
 * the run was for, says that the run did not help.
 *
 * @param asOf ISO 8601; where the trigger says a later time, its own counts as no earlier than that
 */
export function takeTrigger(
  spec: RetrainingSpec,
  state: RetrainingState,
  trigger: ToldTrigger,
  asOf: string,
): Taken {
  const { kind, version } = trigger;
  const at = isoOf(Math.min(Date.parse(trigger.at ?? asOf), Date.parse(asOf)));
  const told: PendingReason = {
    kind,
    reason: trigger.reason,
    version,
    firstAt: at,
    lastAt: at,
    times: 1,
    by: trigger.by ?? null,
  };
  const skipped = (why: string): Taken => ({ state, skip: skipOf([told], why, asOf) });
  if (!isWanted(spec, kind) && kind !== 'demand')
    return skipped(`not asked for: retraining.on.${KEYS[kind]} is not set`);
  const { champion } = state;
  if (version !== null && champion && champion.version !== version)
    return skipped(
      `out of date: it is about version ${version}, and version ${champion.version} is in production`,
    );
  const known = refuted(spec, settled(spec, state, asOf), told, asOf);
  return { state: { ...known, pending: withReason(known.pending, told) }, skip: null };
}

/**
 * Takes in what is in production now. Reasons about another version are dropped, and said so.
 *
 * @param asOf the time that counts, which is no earlier than the tick's
 */
export function takeTick(
  spec: RetrainingSpec,
  state: RetrainingState,
  { champion }: RetrainingTick,
  asOf: string,
): Taken {
  const known = settled(
    spec,
    { ...state, champion: champion && { ...champion, since: isoOf(Date.parse(champion.since)) } },
    asOf,
  );
  const outdated = outdatedBy(known.pending, champion);
  return {
    state: { ...known, pending: known.pending.filter((reason) => !outdated.includes(reason)) },
    skip:
      outdated.length === 0
        ? null
        : skipOf(outdated, `out of date: version ${champion?.version} is in production now`, asOf),
  };
}

/** Drops reasons that another spec does not ask for. */
export function takeSpec(spec: RetrainingSpec, state: RetrainingState, asOf: string): Taken {
  const unwanted = state.pending.filter(({ kind }) => !isWanted(spec, kind));
  if (unwanted.length === 0) return { state, skip: null };
  return {
    state: { ...state, pending: state.pending.filter((reason) => !unwanted.includes(reason)) },
    skip: skipOf(unwanted, 'not asked for: the spec has changed', asOf),
  };
}
