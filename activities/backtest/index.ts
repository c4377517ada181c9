import type { BacktestActivities } from '../../contracts/backtest-activities.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { framed } from '../frame.ts';
import { advancedPolicy } from './advance.ts';
import { closeBacktest } from './close-backtest.ts';
import { judgeBacktest, observeBacktest } from './measure.ts';
import { loadBacktestModel, openBacktestModel } from './open-model.ts';
import { planBacktest } from './plan-backtest.ts';

/** Activities of the workflow `backtest`. */
export function backtestActivities(deps: ActivityDependencies): BacktestActivities {
  const { config } = deps;
  return {
    planBacktest: framed(config, (input) => planBacktest(deps, input)),
    openBacktestModel: framed(config, (input, frame) => openBacktestModel(deps, input, frame)),
    loadBacktestModel: framed(config, (input) => loadBacktestModel(deps, input)),
    observeBacktest: framed(config, (input, frame) => observeBacktest(deps, input, frame)),
    // Alerts speak of the data.
    advanceBacktest: framed(config, async (input, frame) =>
      advancedPolicy((await deps.store()).within(await frame.scratch(), { encrypt: true }), input),
    ),
    judgeBacktest: framed(config, (input, frame) => judgeBacktest(deps, input, frame)),
    closeBacktest: framed(config, (input) => closeBacktest(deps, input)),
  };
}
