import type { BacktestActivities } from '../../contracts/backtest-activities.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { framed } from '../frame.ts';
import { closeBacktest } from './close-backtest.ts';
import { judgeBacktest, observeBacktest } from './measure.ts';
import { openBacktestModel } from './open-model.ts';
import { planBacktest } from './plan-backtest.ts';

/** Activities of the workflow `backtest`. */
export function backtestActivities(deps: ActivityDependencies): BacktestActivities {
  const { config } = deps;
  return {
    planBacktest: framed(config, (input) => planBacktest(deps, input)),
    openBacktestModel: framed(config, (input, frame) => openBacktestModel(deps, input, frame)),
    observeBacktest: framed(config, (input, frame) => observeBacktest(deps, input, frame)),
    judgeBacktest: framed(config, (input, frame) => judgeBacktest(deps, input, frame)),
    closeBacktest: framed(config, (input) => closeBacktest(deps, input)),
  };
}
