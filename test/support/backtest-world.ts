import type { BacktestPlan } from '../../contracts/backtest-activities.ts';
import { retrainingSpec } from '../../contracts/spec/retraining.ts';
import { badQuality, goodQuality } from './monitor-world.ts';
import { watchedSpec } from './monitoring-samples.ts';
import { tracking } from './samples.ts';
import { Scenario } from './scenario.ts';
import { dayWindow } from './window-reports.ts';

/** Windows of the world. */
export const DAYS = 12;
/** The first model is trained as of then. */
export const FIRST = dayWindow(0).from;
/** From this day on, models that were trained before it are bad. */
export const BREAK = 4;

/** A policy without debounce. */
export const policy = (name: string, on: object | null, more: object = {}) => ({
  name,
  retraining:
    on === null
      ? null
      : retrainingSpec.parse({ on, debounce: '0s', cooldown: '1d', window: WINDOW, ...more }),
});
const WINDOW = { kind: 'expanding', validation: '2d', test: '2d' };
/** Nothing is a reason. */
export const NOTHING = { conceptDrift: false, degradation: false };

/** A world whose models are as good as the day on which they were trained lets them be. */
export function backtestWorld(
  scheduled: BacktestPlan['scheduled'],
  groundTruthDelay?: string,
  scenario = new Scenario(),
): Scenario {
  const spec = watchedSpec({
    columns: { target: 'churned', timestamp: 'at' },
    evaluation: { metric: 'log_loss' },
    monitoring: {
      window: '1d',
      quality: { metric: 'log_loss', max: 0.5 },
      ...(groundTruthDelay === undefined ? {} : { groundTruthDelay }),
    },
    retraining: { window: WINDOW },
  });
  const isBad = (model: string, index: number): boolean =>
    index >= BREAK && Date.parse(model) <= Date.parse(dayWindow(BREAK).from);
  scenario.let('planBacktest', async () => ({
    spec,
    windows: Array.from({ length: DAYS }, (_, i) => dayWindow(i)),
    scheduled,
    delayWindows: groundTruthDelay === undefined ? 0 : Number.parseInt(groundTruthDelay, 10),
    tracking,
  }));
  scenario.let('observeBacktest', async ({ labelled }) => ({
    verdicts:
      labelled === null
        ? []
        : [isBad(labelled.model.name, labelled.window.index) ? badQuality() : goodQuality()],
  }));
  scenario.let('judgeBacktest', async ({ model, windows }) => ({
    windows: windows.map(({ index }) => {
      const bad = isBad(model.name, index);
      return { rows: 100, labels: 100, quality: { log_loss: bad ? 0.6 : 0.3 }, bad };
    }),
  }));
  return scenario;
}
