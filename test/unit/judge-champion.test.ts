import { expect, it } from 'vitest';
import { type ChampionTrial, judgeChampion } from '../../activities/judge-champion.ts';
import type { LoadableModel } from '../../contracts/registered-version.ts';
import { parts, servedModel, signature } from '../support/samples.ts';
import { spending } from '../support/view-model.ts';

const PROBLEM = { task: 'binary' as const, classNames: ['no', 'yes'], positiveClass: 'yes' };

const numeric = (name: string) => ({ name, kind: 'numeric' as const, optional: true });
const looked = ['spending_count_1h', 'spending_total_1d'];
/** Takes the features of a view beside what all take. */
const champion: LoadableModel = {
  ...{ ...servedModel('3'), ...PROBLEM, views: [spending()] },
  signature: { ...signature, inputs: [...signature.inputs, ...looked.map(numeric)] },
};

/** Test rows of a candidate, with these columns beside those that all take. */
const trialOf = (columns: readonly string[], views: ChampionTrial['views'] = []): ChampionTrial => ({
  views,
  problem: { ...PROBLEM, quantile: 0.5, baseline: parts.baseline },
  split: {
    ...parts,
    columns: [
      ...signature.inputs.map(({ name }) => ({ name, type: 'DOUBLE' })),
      ...columns.map((name) => ({ name, type: 'DOUBLE' })),
    ],
  },
  predict: async () => Float64Array.of(0.2, 0.8),
  judged: async (answers) => ({
    metrics: { brier_score: answers[0] ?? 0 },
    difference: {},
    bounds: [],
    intervals: {},
  }),
});

it('a champion whose feature views the candidate has is judged on its rows', async () => {
  const { champion: judged } = await judgeChampion({ version: '3', model: champion }, trialOf(looked));
  expect(judged).toEqual({ version: '3', test: { brier_score: 0.2 }, difference: {} });
});

it('one with a view, or a window of it, that the candidate lacks is named with the columns, and never as absent', async () => {
  const { champion: without } = await judgeChampion({ version: '3', model: champion }, trialOf([]));
  expect(without).toMatchObject({
    version: '3',
    test: {},
    notComparable: `the data no longer have its input columns ${looked.join(', ')}`,
  });
  const { champion: other } = await judgeChampion(
    { version: '3', model: champion },
    trialOf(['spending_count_1h', 'spending_total_7d']),
  );
  expect(other.notComparable).toBe('the data no longer have its input columns spending_total_1d');
});

it('one with a view that is defined otherwise now is not judged on the new values', async () => {
  const defined = (definition?: string) => ({ ...(definition === undefined ? {} : { definition }) });
  const judgedOn = async (was: string | undefined, now: string | undefined) => {
    const { columns, ...view } = spending();
    const views = [{ ...view, columns: columns.map((column) => ({ ...column, ...defined(was) })) }];
    const plan = {
      ...{
        name: 'spending',
        eventsSql: 'SELECT 1',
        entity: ['customer'],
        values: 1,
        windows: [1],
        digest: 'new',
      },
      columns: columns.map(({ input, aggregate, value }, place) => ({
        ...{ name: input, aggregate, value, window: 0 },
        ...defined(place === 1 ? now : was),
      })),
    };
    return judgeChampion({ version: '3', model: { ...champion, views } }, trialOf(looked, [plan]));
  };
  expect((await judgedOn('as-it-was', 'as-it-is')).champion).toMatchObject({
    test: {},
    notComparable: 'its input columns spending_total_1d are of feature views that are defined otherwise now',
  });
  expect((await judgedOn('as-it-was', 'as-it-was')).champion.notComparable).toBeUndefined();
  // Of a version, or a run, from before columns had one nothing is known.
  expect((await judgedOn(undefined, 'as-it-is')).champion.notComparable).toBeUndefined();
  expect((await judgedOn('as-it-was', undefined)).champion.notComparable).toBeUndefined();
});
