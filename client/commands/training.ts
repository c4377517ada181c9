import { type Command, InvalidArgumentError } from 'commander';
import { lowerIsBetter } from '../../contracts/spec/evaluation.ts';
import { type BudgetUpdate, type SearchReport, trialLabel } from '../../contracts/trials.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { searchSummary } from '../training-search.ts';
import { dataDirOf } from './options.ts';

/** Trials that the table shows. */
const SHOWN = 20;

interface TrainingOptions extends BudgetUpdate {
  stop?: true;
}

/** `training`: the trials of a run; another budget for them, or an end. */
export function registerTrainingCommand(program: Command): void {
  program
    .command('training')
    .argument('<run>', 'id of a run')
    .description('the search for the best model: its trials; while it runs: another budget, or an early end')
    .option('--trials <number>', 'trials of all candidates together', whole)
    .option('--time <duration>', 'wall time from its start, such as 30m')
    .option('--cost <number>', 'cost of all trials together', positive)
    .option('--parallelism <number>', 'trials side by side', whole)
    .option('--stop', 'no further trials; go on with the best model so far')
    .action((workflowId: string, options: TrainingOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const search = await perennial.training(workflowId);
          const { stop, trials, time, cost, parallelism } = options;
          const update = Object.fromEntries(
            Object.entries({ trials, time, cost, parallelism }).filter(([, value]) => value !== undefined),
          );
          if (Object.keys(update).length > 0) await search.change(update);
          const report = stop ? await search.stop() : await search.report();
          output.result(report, () => searchText(report));
          return EXIT.ok;
        }),
      );
    });
}

/** The best trials as a table, and what was used up. */
function searchText(report: SearchReport): string {
  const sign = lowerIsBetter(report.metric) ? 1 : -1;
  const order = (value: number | null): number => (value === null ? Number.POSITIVE_INFINITY : sign * value);
  const best = [...report.trials].sort((a, b) => order(a.value) - order(b.value)).slice(0, SHOWN);
  const { seconds, cost } = report.used;
  return [
    `${searchSummary(report)}; ${seconds.toFixed(0)} s${cost > 0 ? `, cost ${cost.toFixed(4)}` : ''}`,
    columns([
      ['trial', report.metric, 'state', 'iterations', 'seconds', 'parameters'],
      ...best.map((trial) => [
        trialLabel(trial),
        trial.value?.toFixed(4) ?? '',
        trial.state,
        String(trial.iterations),
        trial.seconds.toFixed(1),
        Object.entries(trial.parameters)
          .map(
            ([name, value]) => `${name}=${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`,
          )
          .join(' '),
      ]),
    ]),
    ...report.notes,
  ].join('\n');
}

function whole(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number above 0');
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('a number above 0');
}
