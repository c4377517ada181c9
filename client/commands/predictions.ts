import { resolve } from 'node:path';
import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import {
  exportFormat,
  type PredictionsQuestion,
  predictionsAnswer,
} from '../../contracts/prediction-questions.ts';
import { askDataEngine } from '../data-engine.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface PredictionsOptions {
  since?: string;
  until?: string;
  limit: string;
  sql?: string;
  out?: string;
}

const DEFAULT_LIMIT = 20;
const WIDEST_CELL = 40;

/** `predictions`: what was answered, and what turned out to be true. */
export function registerPredictionsCommand(program: Command): void {
  program
    .command('predictions')
    .argument('<endpoint>', 'name of the endpoint')
    .description('show or export what was answered, with the truth as far as it is known')
    .option('--since <time>', 'predictions from this time on (ISO 8601)')
    .option('--until <time>', 'predictions before this time (ISO 8601)')
    .option('--limit <rows>', 'rows that are shown at the most', String(DEFAULT_LIMIT))
    .option('--sql <select>', 'one SELECT over the views predictions, truth and labelled')
    .option(
      '--out <file>',
      `write all rows to a new file: ${exportFormat.options.map((one) => `.${one}`).join(', ')}`,
    )
    .addHelpText(
      'after',
      `
Examples:
  $ perennial predictions churn --since 2026-11-01 --limit 5
  $ perennial predictions churn --sql "SELECT version, count(*) FROM predictions GROUP BY ALL"
  $ perennial predictions churn --since 2026-11-01 --out november.parquet`,
    )
    .action((endpoint: string, options: PredictionsOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const answer = await askDataEngine(
          'predictions',
          questionOf(endpoint, options),
          predictionsAnswer,
          dataDirOf(command),
        );
        if (answer.unreadable > 0)
          output.notice(
            `${answer.unreadable} segments or files of the log cannot be read and are left out; see docs/prediction-log.md`,
          );
        if ('written' in answer)
          output.result(
            { file: options.out, rows: answer.written },
            () => `${options.out}: ${answer.written} rows`,
          );
        else
          output.result(answer.rows, () =>
            answer.rows.length === 0
              ? `nothing is on record of ${endpoint}${options.since || options.until || options.sql ? ' that was asked for' : ''}`
              : tableOf(answer.rows) + (answer.more ? '\n… and more; raise --limit, or use --out' : ''),
          );
        return EXIT.ok;
      });
    });
}

function questionOf(
  endpoint: string,
  { since, until, limit, sql, out }: PredictionsOptions,
): PredictionsQuestion {
  const rows = Number(limit);
  if (!Number.isInteger(rows) || rows < 1 || rows > 100_000)
    throw new PerennialError('InputInvalid', '--limit: expected a whole number from 1 to 100000');
  return {
    endpoint,
    since: since ?? null,
    until: until ?? null,
    limit: rows,
    sql: sql ?? null,
    out: out === undefined ? null : { path: resolve(out), format: formatOf(out) },
  };
}

function formatOf(file: string): NonNullable<PredictionsQuestion['out']>['format'] {
  const parsed = exportFormat.safeParse(/\.(\w+)$/.exec(file)?.[1]?.toLowerCase());
  if (parsed.success) return parsed.data;
  throw new PerennialError(
    'InputInvalid',
    `--out: the name must end with .${exportFormat.options.join(', .')}`,
  );
}

/** A column that is empty in all rows is left out. */
function tableOf(rows: readonly Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.some((row) => row[name] !== null));
  return columns([names, ...rows.map((row) => names.map((name) => cellOf(row[name])))]);
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text =
    typeof value === 'number' && !Number.isInteger(value)
      ? String(Number(value.toPrecision(6)))
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  return text.length > WIDEST_CELL ? `${text.slice(0, WIDEST_CELL - 1)}…` : text;
}
