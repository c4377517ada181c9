import { resolve } from 'node:path';
import type { Command } from 'commander';
import { duration, durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { type MonitorQuestion, monitorAnswer } from '../../contracts/monitor-questions.ts';
import { CHECKS, checkName } from '../../contracts/spec/monitoring.ts';
import { withContext } from '../context.ts';
import { askDataEngine } from '../data-engine.ts';
import { hindsightText } from '../hindsight-text.ts';
import { momentOf } from '../moment.ts';
import { monitorList, monitorText } from '../monitor-text.ts';
import { lookAgain, lookBack, lookNow } from '../monitoring.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { ownName } from '../person.ts';
import { staleFor } from '../staleness.ts';
import { dataDirOf } from './options.ts';

interface MonitorOptions {
  windows: string;
  report?: string;
  now?: boolean;
  asOf?: string;
  again?: string;
  against?: string;
  silence?: string;
  check?: string;
  pause?: boolean;
  resume?: boolean;
  by?: string;
  reason?: string;
}

const DEFAULT_WINDOWS = 40;

/** `monitor`: how an endpoint is now, and how it was. */
export function registerMonitorCommand(program: Command): void {
  program
    .command('monitor')
    .argument('[endpoint]', 'name of an endpoint (default: all that are watched)')
    .description('show how an endpoint is now, and the trend')
    .option('--windows <n>', 'windows of the trend, the latest', String(DEFAULT_WINDOWS))
    .option('--report <file>', 'write the latest report, or the comparison, as a page to a new file')
    .option(
      '--against <version>',
      'beside it, what this version would have answered: what retraining brought',
    )
    .option('--now', 'look now instead of waiting for the schedule')
    .option('--as-of <time>', 'with --now: up to this time (ISO 8601)')
    .option('--again <from..before>', 'look at windows of the past again, with the truth of today; no alerts')
    .option('--silence <duration>', 'tell no alerts for so long; they are recorded all the same')
    .option('--check <name>', `with --silence: only of ${CHECKS.join(', ')}`)
    .option('--pause', 'look at no window until --resume; then all that were missed are looked at')
    .option('--resume', 'go on')
    .option('--by <name>', 'with --silence, --pause and --resume: who asks for it (default: you)')
    .option('--reason <text>', 'with --silence, --pause and --resume: why')
    .addHelpText(
      'after',
      `
Examples:
  $ perennial monitor
  $ perennial monitor churn --report churn.html
  $ perennial monitor churn --against 1 --report with-and-without.html
  $ perennial monitor churn --silence 2h --check quality --reason "labels are late"
  $ perennial monitor churn --again 2026-11-01..2026-11-08

Exit codes: 0 within all limits, 3 beyond one, or nothing has been looked at for more than two windows`,
    )
    .action((endpoint: string | undefined, options: MonitorOptions, command: Command) => {
      const output = outputOf(command);
      const dataDir = dataDirOf(command);
      return guarded(output.json, async () => {
        if (endpoint === undefined) {
          const answer = await askDataEngine('monitor', { ask: 'list' }, monitorAnswer, dataDir);
          output.result(answer.endpoints, () => monitorList(answer.endpoints));
          return EXIT.ok;
        }
        const again = options.again === undefined ? undefined : stretchOf(options.again);
        if (options.now || again)
          await withContext(dataDir, async ({ perennial: { temporal, taskQueue } }) =>
            again
              ? lookAgain(temporal, taskQueue, endpoint, again)
              : lookNow(temporal, taskQueue, {
                  endpoint,
                  ...(options.asOf === undefined ? {} : { asOf: momentOf(options.asOf, '--as-of') }),
                }),
          );
        if (options.against !== undefined) {
          const question = { ...shownOf(endpoint, options), version: options.against };
          const found = await lookBack(question, dataDir);
          output.result(found, () => hindsightText(found));
          return EXIT.ok;
        }
        const question = questionOf(endpoint, options);
        const { endpoints } = await askDataEngine('monitor', question, monitorAnswer, dataDir);
        const [view] = endpoints;
        if (!view) return EXIT.failed;
        output.result(view, () => monitorText(view));
        const isBad = view.state?.latest?.state === 'breached' || staleFor(view, Date.now()) !== null;
        return isBad ? EXIT.notDeployed : EXIT.ok;
      });
    });
}

/** What of an endpoint is shown. */
function shownOf(
  endpoint: string,
  options: MonitorOptions,
): { endpoint: string; windows: number; report: string | null } {
  const windows = Number(options.windows);
  if (!Number.isInteger(windows) || windows < 1 || windows > 400)
    throw new PerennialError('InputInvalid', '--windows: expected a whole number from 1 to 400');
  return { endpoint, windows, report: options.report === undefined ? null : resolve(options.report) };
}

function questionOf(endpoint: string, options: MonitorOptions): MonitorQuestion {
  if (options.pause && options.resume)
    throw new PerennialError('InputInvalid', 'one of --pause and --resume');
  if (options.pause || options.resume) {
    const paused = options.pause === true;
    const why = options.reason ? `: ${options.reason}` : '';
    return {
      ask: 'pause',
      endpoint,
      paused,
      note: `${paused ? 'paused' : 'resumed'} by ${ownName(options.by)}${why}`,
    };
  }
  if (options.silence === undefined) return { ask: 'show', ...shownOf(endpoint, options) };
  if (!duration.safeParse(options.silence).success)
    throw new PerennialError('InputInvalid', '--silence: expected a duration such as 30m, 2h or 1d');
  const check = options.check === undefined ? null : checkName.safeParse(options.check);
  if (check && !check.success)
    throw new PerennialError('InputInvalid', `--check: expected one of ${CHECKS.join(', ')}`);
  const from = Date.now();
  return {
    ask: 'silence',
    endpoint,
    silence: {
      check: check ? check.data : null,
      from: new Date(from).toISOString(),
      before: new Date(from + durationMs(options.silence)).toISOString(),
      by: ownName(options.by),
      reason: options.reason ?? '',
    },
  };
}

function stretchOf(text: string): { from: string; before: string } {
  const [from = '', before = ''] = text.split('..');
  return { from: momentOf(from, '--again'), before: momentOf(before, '--again') };
}
