import type { Command } from 'commander';
import {
  type KnownView,
  type ValuesAnswer,
  type ViewsAnswer,
  valuesAnswer,
  viewsAnswer,
} from '../../contracts/feature-questions.ts';
import type { MaterializationResult } from '../../contracts/feature-store.ts';
import { withContext } from '../context.ts';
import { askDataEngine } from '../data-engine.ts';
import { materialize } from '../features.ts';
import { momentOf } from '../moment.ts';
import { columns, EXIT, guarded, type Output, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface MaterializeOptions {
  from?: string;
  until?: string;
}

/** `features ls|show|get|materialize`: features out of the history of entities, as servers look them up. */
export function registerFeaturesCommands(program: Command): void {
  const features = program
    .command('features')
    .description('features out of the history of entities, as model servers look them up')
    .addHelpText(
      'after',
      `
Examples:
  $ perennial features ls
  $ perennial features get flights-delay plane N14228
  $ perennial features materialize flights-delay --from 2026-01-01`,
    );

  features
    .command('ls')
    .description('list the views that are kept online, and up to when they know events')
    .action((_options: unknown, command: Command) =>
      asked(command, async (output) => {
        const answer = await views(command);
        output.result(answer, () => listText(answer));
      }),
    );

  features
    .command('show')
    .argument('<pipeline>', 'name of the pipeline')
    .argument('[view]', 'name of the view; default: all')
    .description('show the columns of views')
    .action((pipeline: string, view: string | undefined, _options: unknown, command: Command) =>
      asked(command, async (output) => {
        const { views: all } = await views(command);
        const found = all.filter(
          (one) => one.pipeline === pipeline && (view === undefined || one.view === view),
        );
        output.result(found, () =>
          found.length === 0
            ? `nothing is kept online of ${pipeline}${view === undefined ? '' : ` ${view}`}`
            : found.map(detailsText).join('\n\n'),
        );
      }),
    );

  features
    .command('get')
    .argument('<pipeline>', 'name of the pipeline')
    .argument('<view>', 'name of the view')
    .argument('<key...>', 'whose features: a value for each column of the entity')
    .option('--at <time>', 'as of this time (ISO 8601; default: now)')
    .description('look features up as a model server does')
    .action((pipeline: string, view: string, key: string[], { at }: { at?: string }, command: Command) =>
      asked(command, async (output) => {
        const moment = at === undefined ? null : momentOf(at, '--at');
        const answer = await askDataEngine(
          'features',
          { ask: 'values', pipeline, view, key, at: moment },
          valuesAnswer,
          dataDirOf(command),
        );
        output.result(answer, () => valuesText(answer));
      }),
    );

  features
    .command('materialize')
    .argument('<pipeline>', 'name of the pipeline')
    .argument('[view...]', 'names of views; default: all')
    .option('--from <time>', 'keep events from this time on, also where windows need less (ISO 8601)')
    .option('--until <time>', 'events before this time count (ISO 8601; default: now)')
    .description('take new, late and corrected events in now')
    .action((pipeline: string, names: string[], { from, until }: MaterializeOptions, command: Command) =>
      asked(command, (output) =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const result = await materialize(perennial.temporal, perennial.taskQueue, {
            pipeline,
            ...(names.length > 0 ? { views: names } : {}),
            ...(from === undefined ? {} : { from: momentOf(from, '--from') }),
            ...(until === undefined ? {} : { until: momentOf(until, '--until') }),
          });
          output.result(result, () => doneText(result));
        }),
      ),
    );
}

const views = (command: Command): Promise<ViewsAnswer> =>
  askDataEngine('features', { ask: 'views' }, viewsAnswer, dataDirOf(command));

const asked = (command: Command, work: (output: Output) => Promise<void>): Promise<void> => {
  const output = outputOf(command);
  return guarded(output.json, async () => {
    await work(output);
    return EXIT.ok;
  });
};

const moment = (at: string): string => at.slice(0, 19).replace('T', ' ');

function listText({ place, views: all }: ViewsAnswer): string {
  if (all.length === 0)
    return 'no features are kept online; a pipeline with featureViews that was deployed has some';
  return [
    columns([
      ['PIPELINE', 'VIEW', 'ENTITY', 'COLUMNS', 'EVENTS', 'KNOWN UNTIL', ''],
      ...all.map(({ pipeline, view, entity, columns: own, online, current }) => [
        pipeline,
        view,
        entity.join(', '),
        String(own.length),
        online ? online.events.toLocaleString('en-US') : '',
        online ? moment(online.until) : 'not materialized',
        current ? '' : 'of an earlier version',
      ]),
    ]),
    `in ${place}`,
  ].join('\n');
}

function detailsText({ pipeline, view, store, entity, columns: own, online, current }: KnownView): string {
  return [
    `${pipeline} ${view}${current ? '' : ', of an earlier version'}: looked up by ${entity.join(', ')}`,
    online
      ? `  ${online.events.toLocaleString('en-US')} events from ${moment(online.from)} until ${moment(online.until)}, materialized at ${moment(online.materializedAt)}`
      : '  not materialized',
    `  in the store: ${store}`,
    columns([
      ['  COLUMN', 'AGGREGATE', 'WINDOW'],
      ...own.map(({ name, aggregate, windowSeconds }) => [`  ${name}`, aggregate, spanText(windowSeconds)]),
    ]),
  ].join('\n');
}

function spanText(seconds: number): string {
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
  ] as const)
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  return `${seconds}s`;
}

const valuesText = ({ values, at, until }: ValuesAnswer): string =>
  [
    columns(values.map(({ name, value }) => [name, value === null ? 'missing' : String(value)])),
    `as of ${moment(at)}; events are known until ${moment(until)}`,
  ].join('\n');

const doneText = ({ views: done, forgotten }: MaterializationResult): string =>
  [
    ...done.map(
      ({ view, events, until, changed, written, removed, seconds }) =>
        `${view}: ${events.toLocaleString('en-US')} events until ${moment(until)}; ${changed} stretch(es) of time had changed, ${written} record(s) written, ${removed} removed, ${seconds.toFixed(1)} s`,
    ),
    ...forgotten.map((id) => `deleted, since no version uses it: ${id}`),
  ].join('\n');
