import { retrainingSpec } from '../../contracts/spec/retraining.ts';
import { BacktestWorld } from './backtest-world.ts';
import { badQuality, goodQuality } from './monitor-world.ts';
import { watchedSpec } from './monitoring-samples.ts';
import { Scenario } from './scenario.ts';
import { dayWindow } from './window-reports.ts';

export const DAYS = 12;
export const FIRST = dayWindow(0).from;
/** From this day on, models that were trained before it are bad. */
export const BREAK = 4;

export const policy = (name: string, on: object | null, more: object = {}) => ({
  name,
  retraining:
    on === null
      ? null
      : retrainingSpec.parse({ on, debounce: '0s', cooldown: '1d', window: WINDOW, ...more }),
});
const WINDOW = { kind: 'expanding', validation: '2d', test: '2d' };
export const NOTHING = { conceptDrift: false, degradation: false };

/** A world whose models are as good as the day on which they were trained lets them be. */
export function backtestWorld(
  scheduled: number[][],
  groundTruthDelay?: string,
  days = DAYS,
  scenario = new Scenario(),
): BacktestWorld {
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
  return new BacktestWorld(
    {
      spec,
      windows: Array.from({ length: days }, (_, i) => dayWindow(i)),
      scheduled,
      delayWindows: groundTruthDelay === undefined ? 0 : Number.parseInt(groundTruthDelay, 10),
      verdicts: ({ labelled }) =>
        (labelled?.parts ?? [])
          .slice(0, 1)
          .map(({ model }) =>
            isBad(model.name, labelled?.window.index ?? 0) ? badQuality() : goodQuality(),
          ),
      judged: ({ model, window: { index } }) => {
        const bad = isBad(model, index);
        return { rows: 100, quality: { log_loss: bad ? 0.6 : 0.3 }, bad };
      },
    },
    scenario,
  );
}
