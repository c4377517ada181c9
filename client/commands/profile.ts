import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import { inferAnswer, profileAnswer } from '../../contracts/data-questions.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import type { ColumnProfile, TableProfile } from '../../contracts/profile.ts';
import { source as anySource, type Source } from '../../contracts/spec/sources.ts';
import { askDataEngine } from '../data-engine.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { loadSpec } from '../spec-file.ts';

const DATA = 'a file or glob (CSV, Parquet, JSON Lines), or a spec';
const SOURCE = "with a spec: the source's name; not needed where there is one";
const REMOTE = /^(https?|s3):\/\//i;
const SPEC = /\.(ya?ml|json|m?ts)$/i;

/** `profile`, `expectations infer`: getting to know data. */
export function registerProfileCommands(program: Command): void {
  program
    .command('profile')
    .argument('<data>', DATA)
    .argument('[source]', SOURCE)
    .description('show what data look like, column by column, and what to look at')
    .option('--html <file>', 'write a page with plots, too')
    .action((data: string, source: string | undefined, options: { html?: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const { name, source: chosen } = await sourceOf(data, source);
        const { profile, html } = await askDataEngine(
          'profile',
          { name, source: chosen, html: options.html !== undefined },
          profileAnswer,
        );
        if (options.html && html !== null) await write(options.html, html);
        output.result(profile, () => profileText(profile, options.html));
        return EXIT.ok;
      });
    });

  program
    .command('expectations')
    .description('expectations of data')
    .command('infer')
    .argument('<data>', DATA)
    .argument('[source]', SOURCE)
    .description('propose expectations from data, for you to edit and put into the spec')
    .option('--out <file>', 'write them into a new file instead')
    .action((data: string, source: string | undefined, options: { out?: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        if (options.out && existsSync(options.out))
          throw new PerennialError(
            'InputInvalid',
            `${options.out} exists already; nothing was written. Name another file`,
          );
        const answer = await askDataEngine('infer', await sourceOf(data, source), inferAnswer);
        if (options.out) await write(options.out, answer.yaml);
        output.result(options.out ? { file: options.out, rules: answer.rules } : answer, () =>
          options.out
            ? `wrote ${answer.rules} expectations to ${options.out}; edit them, then put them into your spec`
            : answer.yaml.trimEnd(),
        );
        return EXIT.ok;
      });
    });
}

/** The source that the arguments name: a file by itself, or one of a spec; `on` as the spec's rules call it. */
async function sourceOf(
  data: string,
  name: string | undefined,
): Promise<{ name: string; source: Source; on: string | null }> {
  if (!SPEC.test(data)) {
    if (name !== undefined)
      throw new PerennialError(
        'InputInvalid',
        `${data} is no spec, so it has no source ${name}; leave the second argument out`,
      );
    return {
      name: basename(data),
      source: anySource.parse(REMOTE.test(data) ? data : resolve(data)),
      on: null,
    };
  }
  const { spec } = await loadSpec(data);
  const names = Object.keys(spec.data.sources);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  if (chosen === undefined)
    throw new PerennialError(
      'InputInvalid',
      `${data} has several sources; name one of them: ${names.join(', ')}`,
    );
  const source = spec.data.sources[chosen];
  if (!source) {
    const hint = nearest(chosen, names);
    throw new PerennialError(
      'InputInvalid',
      `${data} has no source ${chosen}${hint ? `; did you mean ${hint}?` : `. The sources are ${names.join(', ')}`}`,
    );
  }
  // Without SQL and filters, the rows of the only source are those of the joined table.
  const joined = spec.data.sql === undefined && spec.data.rowFilter.length === 0;
  return { name: chosen, source, on: joined ? null : chosen };
}

const write = (file: string, text: string): Promise<void> =>
  writeFile(file, text).catch((cause: unknown) => {
    throw new PerennialError(
      'InputInvalid',
      `${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
      false,
      { cause },
    );
  });

function profileText(profile: TableProfile, page: string | undefined): string {
  const { rows, columns: described, warnings, duplicates } = profile;
  const head = `${rows.toLocaleString('en-US')} rows, ${described.length.toLocaleString('en-US')} columns${duplicates ? `, ${duplicates.toLocaleString('en-US')} rows repeat an earlier one` : ''}`;
  return [
    pc.bold(head),
    '',
    columns([
      ['COLUMN', 'TYPE', 'MISSING', 'DIFFERENT', 'FROM', 'MEDIAN', 'TO', 'COMMON'],
      ...described.map((column) => line(column, rows)),
    ]),
    ...(warnings.length === 0 ? [] : ['', ...warnings.map(({ message }) => `${pc.yellow('!')} ${message}`)]),
    ...(page ? ['', `wrote ${page}`] : []),
  ].join('\n');
}

const line = (column: ColumnProfile, rows: number): string[] => [
  column.name,
  column.type,
  column.missing === 0 ? '-' : `${Number(((100 * column.missing) / rows).toPrecision(3))} %`,
  column.distinct === null
    ? '-'
    : `${column.distinct.exact ? '' : '~'}${column.distinct.count.toLocaleString('en-US')}`,
  short(column.min),
  short(column.quantiles?.['0.5']),
  short(column.max),
  column.histogram.length > 12 || column.unique
    ? ''
    : column.top
        .slice(0, 3)
        .map(({ value }) => short(value))
        .join(', '),
];

/** At most 24 characters on one line. */
function short(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'number')
    return String(Number.isInteger(value) ? value : Number(value.toPrecision(6)));
  const text = value.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
