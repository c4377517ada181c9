import type { BacktestStep } from '../../contracts/backtest.ts';
import type {
  BacktestQuestion,
  NamedModel,
  PolicyAdvance,
  PolicyAdvanced,
} from '../../contracts/backtest-activities.ts';
import {
  backtestSettings,
  backtestVerdicts,
  type PolicyPlace,
  policyPlace,
  policySteps,
} from '../../contracts/backtest-artifacts.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { PolicyTraining } from '../../domain/backtest/policy-run.ts';
import { type PolicyQuestion, PolicyRun, policyBegin } from '../../domain/backtest/policy-run.ts';

/** Windows that are measured at the same time, as if the model stayed. */
const AHEAD = 6;

/** Where artifacts are. */
export interface JsonStore {
  json(ref: ArtifactRef): Promise<unknown>;
  putJson(value: unknown): Promise<ArtifactRef>;
}

/**
 * Takes in what was measured, or how a run ended, and goes on up to where a run begins or something else is to be
 * measured. The same input gives the same place.
 */
export async function advancedPolicy(store: JsonStore, input: PolicyAdvance): Promise<PolicyAdvanced> {
  const settings = backtestSettings.parse(await store.json(input.settings));
  const { spec, windows } = settings;
  const own = settings.policies[input.policy];
  if (!own) throw new RangeError(`there is no policy ${input.policy}`);
  const place = input.place === null ? begin(input.first) : policyPlace.parse(await store.json(input.place));
  const run = new PolicyRun({ ...own, monitoring: spec.monitoring, windows }, place.state);
  const models = { ...place.models };
  let { training } = place;
  if (training && input.ended) {
    const { model, ...ended } = input.ended;
    if (model) models[model.name] = model.model;
    const version = model?.name ?? null;
    run.ended({ ...ended, workflowId: training.due.workflowId, version }, version, training);
    training = null;
  }
  const asked = training ? [] : run.foresee(input.observed.length);
  for (const [i, question] of asked.entries()) {
    const verdicts = input.observed[i];
    if (!verdicts) break;
    training = run.take(question, backtestVerdicts.parse(await store.json(verdicts)));
    // What was foreseen goes by the model that served until now.
    if (training) break;
  }
  const next: PolicyPlace = {
    state: run.state,
    training,
    models,
    steps: await kept(store, place.steps, run.steps),
  };
  return {
    place: await store.putJson(next),
    done: next.state.done,
    runs: next.state.runs.length,
    training: training && begun(training, models),
    questions: training ? [] : run.foresee(AHEAD).map((question) => named(question, models)),
  };
}

const begin = ({ name, model }: NamedModel): PolicyPlace => ({
  state: policyBegin(name, name),
  training: null,
  models: { [name]: model },
  steps: null,
});

const kept = async (
  store: JsonStore,
  before: ArtifactRef | null,
  steps: readonly BacktestStep[],
): Promise<ArtifactRef | null> => (steps.length === 0 ? before : store.putJson({ before, steps }));

/** All windows that a policy has gone through, in their order. */
export async function stepsOf(
  store: Pick<JsonStore, 'json'>,
  { steps: last }: PolicyPlace,
): Promise<BacktestStep[]> {
  const chunks: BacktestStep[][] = [];
  for (let at = last; at !== null; ) {
    const { before, steps } = policySteps.parse(await store.json(at));
    chunks.push(steps);
    at = before;
  }
  return chunks.reverse().flat();
}

function modelOf(models: PolicyPlace['models'], name: string): NamedModel {
  const model = models[name];
  if (!model) throw new RangeError(`no model of ${name} was trained`);
  return { name, model };
}

const begun = (
  { due, champion }: PolicyTraining,
  models: PolicyPlace['models'],
): PolicyAdvanced['training'] => ({
  asOf: due.asOf,
  champion: modelOf(models, champion),
});

const named = (
  { window, model, labelled }: PolicyQuestion,
  models: PolicyPlace['models'],
): BacktestQuestion => ({
  window,
  model: modelOf(models, model),
  labelled: labelled && {
    window: labelled.window,
    parts: labelled.parts.map((part) => ({ ...part, model: modelOf(models, part.model) })),
  },
});
