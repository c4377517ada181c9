import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, type Output, outputOf } from '../output.ts';
import { ownName } from '../person.ts';
import { type ScheduleDetails, Schedules, type ScheduleView } from '../schedules.ts';
import { dataDirOf } from './options.ts';

interface Actor {
  by?: string;
  reason: string;
}

/** `schedule ls|show|pause|resume|trigger|backfill`: what happens by the clock. */
export function registerScheduleCommands(program: Command): void {
  const schedule = program
    .command('schedule')
    .description('what happens by the clock: watching, retraining, looking for new data, tidying')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial schedule ls\n  $ perennial schedule pause retraining/churn/schedule --reason "until the audit is over"\n  $ perennial schedule backfill monitor/churn --from 2026-11-01 --to 2026-11-08',
    );

  schedule
    .command('ls')
    .description('list the schedules, with the next time of each')
    .action((_options: unknown, command: Command) =>
      run(command, async (schedules, output) => {
        const all = await schedules.list();
        output.result(all, () => listText(all));
      }),
    );

  named(schedule, 'show')
    .description('when it starts what, what it started, and what comes next')
    .action((id: string, _options: unknown, command: Command) =>
      run(command, async (schedules, output) => shown(output, await schedules.show(id))),
    );

  for (const [name, description] of [
    ['pause', 'start nothing until it is resumed'],
    ['resume', 'go on with a schedule that was paused'],
  ] as const)
    named(schedule, name)
      .option('--by <name>', 'who does (default: PERENNIAL_USER, else the user of the system)')
      .option('--reason <text>', 'why', '')
      .description(description)
      .action((id: string, actor: Actor, command: Command) =>
        run(command, async (schedules, output) =>
          shown(output, await schedules[name](id, noteOf(name, actor))),
        ),
      );

  named(schedule, 'trigger')
    .description('start now what it starts, also while it is paused')
    .action((id: string, _options: unknown, command: Command) =>
      run(command, async (schedules, output) => shown(output, await schedules.trigger(id))),
    );

  named(schedule, 'backfill')
    .requiredOption('--from <time>', 'a date, or a time (ISO 8601; UTC where no offset stands)')
    .requiredOption('--to <time>', 'as --from')
    .description(
      'start what it would have started in a time that is over; of monitor/…: look at the windows that ended then again',
    )
    .action((id: string, { from, to }: { from: string; to: string }, command: Command) =>
      run(command, async (schedules, output) =>
        shown(output, await schedules.backfill(id, timeOf('--from', from), timeOf('--to', to))),
      ),
    );
}

const named = (schedule: Command, name: string): Command =>
  schedule.command(name).argument('<id>', 'id of the schedule, see `perennial schedule ls`');

const noteOf = (what: 'pause' | 'resume', { by, reason }: Actor): string =>
  `${what === 'pause' ? 'paused' : 'resumed'} by ${ownName(by)}${reason === '' ? '' : `: ${reason}`}`;

/** @throws PerennialError `InputInvalid` where it is none */
function timeOf(option: string, text: string): Date {
  const isTime = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(text);
  const time = new Date(/[T ]/.test(text) && !/(Z|[+-]\d{2}:\d{2})$/.test(text) ? `${text}Z` : text);
  if (isTime && !Number.isNaN(time.getTime())) return time;
  throw new PerennialError(
    'InputInvalid',
    `${option}: expected a date such as 2026-11-21 or a time such as 2026-11-21T10:00:00Z`,
  );
}

const shown = (output: Output, details: ScheduleDetails): void =>
  output.result(details, () => detailsText(details));

const moment = (at: string | null): string => (at === null ? '' : at.slice(0, 19).replace('T', ' '));

function listText(all: readonly ScheduleView[]): string {
  if (all.length === 0) return 'there is no schedule; specs with monitoring or retraining bring theirs';
  return columns([
    ['SCHEDULE', 'WHEN', 'STARTS', 'LAST', 'NEXT', ''],
    ...all.map(({ id, when, starts, last, next, paused, note }) => [
      id,
      when,
      starts,
      moment(last),
      moment(next),
      paused ? `paused${note === '' ? '' : `: ${note}`}` : '',
    ]),
  ]);
}

function detailsText(details: ScheduleDetails): string {
  const { id, when, starts, paused, note, overlap, catchupSeconds, taken, missed, skipped } = details;
  return [
    `${id}: ${when}, starts ${starts}${paused ? ', paused' : ''}${note === '' ? '' : ` (${note})`}`,
    ...(details.lookedAgain === undefined
      ? []
      : [`  looked at ${details.lookedAgain} window(s) again, with the truth of today`]),
    `  overlap ${overlap}, catches up ${catchupSeconds / 3_600} h`,
    `  started ${taken}, missed ${missed}, skipped ${skipped} because one was running`,
    ...details.running.map((workflowId) => `  running: ${workflowId}`),
    ...details.recent.slice(0, 5).map(({ at, workflowId }) => `  ${moment(at)}  ${workflowId}`),
    ...(paused || details.upcoming.length === 0
      ? []
      : [`  next: ${details.upcoming.slice(0, 3).map(moment).join(', ')}`]),
  ].join('\n');
}

const run = (
  command: Command,
  work: (schedules: Schedules, output: Output) => Promise<void>,
): Promise<void> => {
  const output = outputOf(command);
  return guarded(output.json, () =>
    withContext(dataDirOf(command), async ({ perennial }) => {
      await work(new Schedules(perennial.temporal), output);
      return EXIT.ok;
    }),
  );
};
