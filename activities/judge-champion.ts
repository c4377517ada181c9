import { PerennialError } from '../contracts/errors.ts';
import type { ViewPlan } from '../contracts/feature-store.ts';
import type { LoadableModel } from '../contracts/registered-version.ts';
import type { Judgement } from '../contracts/reports.ts';
import type { EvaluateOutput, SplitOutput } from '../contracts/stages.ts';
import { redefinedColumns, servedColumns } from '../domain/view-definitions.ts';
import { DEFAULT_THRESHOLD, type Problem } from '../lib/statistics/judge.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { ALIASES, loadableModel, versionByAlias } from './champion.ts';

/** What the champion is judged on. */
export interface ChampionTrial {
  split: SplitOutput;
  problem: Problem;
  /** Whose columns the rows have. */
  views: readonly ViewPlan[];
  /** Answers of a model for the test rows. */
  predict(model: LoadableModel): Promise<Float64Array>;
  /** Judges these answers at the champion's threshold, and the candidate's against them. */
  judged(answers: Float64Array, threshold: number): Promise<Judgement>;
}

/** The version in production as it was judged; `bounds` of the candidate's metrics minus its own. */
export interface JudgedChampion extends Pick<Judgement, 'bounds'> {
  champion: NonNullable<EvaluateOutput['champion']>;
}

/** What is in production; `model` is undefined where it was not registered by Perennial. */
export interface Incumbent {
  version: string;
  model: LoadableModel | undefined;
}

/** The version in production, as the registry says; `null` where there is none. */
export async function incumbentOf(
  mlflow: MlflowClient,
  store: ArtifactStore,
  modelName: string,
): Promise<Incumbent | null> {
  const named = await versionByAlias(mlflow, modelName, ALIASES.champion);
  return named ? { version: named.version, model: await loadableModel(mlflow, store, named) } : null;
}

/**
 * Judges the version in production on the same test rows as the candidate. A champion that cannot be held against
 * it (other classes, a column that is gone, not one of ours) is named with the reason; it never counts as absent.
 */
export async function judgeChampion(
  { version, model }: Incumbent,
  trial: ChampionTrial,
): Promise<JudgedChampion> {
  const not = (reason: string) => ({
    champion: { version, test: {}, difference: {}, notComparable: reason },
    bounds: [],
  });
  if (!model) return not('it was not registered by Perennial');
  const reason = mismatch(model, trial);
  if (reason) return not(reason);
  try {
    const answers = await trial.predict(model);
    const { metrics, difference, bounds } = await trial.judged(answers, model.threshold ?? DEFAULT_THRESHOLD);
    return { champion: { version, test: metrics, difference }, bounds };
  } catch (error) {
    // A column of another type, say: that must not keep every later version from being judged.
    if (error instanceof PerennialError && !error.retryable) return not(error.message);
    throw error;
  }
}

/** Why the model answers another question, or needs what the data no longer have. */
function mismatch(model: LoadableModel, { problem, split, views }: ChampionTrial): string | undefined {
  const list = (values: readonly string[]): string => values.slice(0, 20).join(', ') || 'none';
  if (model.task !== problem.task) return `its task is ${model.task}, the candidate's ${problem.task}`;
  if (model.classNames.join('\n') !== problem.classNames.join('\n'))
    return `its classes are ${list(model.classNames)}, the candidate's ${list(problem.classNames)}`;
  if (model.positiveClass !== problem.positiveClass)
    return `its positive class is ${model.positiveClass}, the candidate's ${problem.positiveClass}`;
  const missing = model.signature.inputs.filter(
    (input) => !split.columns.some(({ name }) => name === input.name),
  );
  if (missing.length > 0)
    return `the data no longer have its input columns ${list(missing.map(({ name }) => name))}`;
  const redefined = redefinedColumns(
    servedColumns(model),
    views.flatMap(({ columns }) => columns),
  );
  return redefined.length > 0
    ? `its input columns ${list(redefined)} are of feature views that are defined otherwise now`
    : undefined;
}
