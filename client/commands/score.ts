import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type BatchProgress,
  type BatchScoringResult,
  batchScoringInput,
} from '../../contracts/batch-scoring.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { issueLines } from '../../contracts/issues.ts';
import { readBatchFile, withAbsolutePaths } from '../batch-file.ts';
import { BatchClient } from '../batch-scoring.ts';
import { runLink, withContext } from '../context.ts';
import { EXIT, guarded, type Output, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface ScoreOptions {
  file?: string;
  source?: string;
  output?: string;
  sql?: string;
  passThrough?: string;
  entity?: string;
  features?: boolean;
  invalid?: string;
  overwrite?: boolean;
  chunkRows?: number;
  parallel?: number;
  deadline?: string;
  batchId?: string;
  cache: boolean;
  workflowId?: string;
  wait: boolean;
  render?: boolean;
}

const count = (word: string): number => {
  if (!/^[1-9]\d*$/.test(word)) throw new InvalidArgumentError('expected a whole number above 0');
  return Number(word);
};

/** `score`: a file or a table through a registered model. */
export function registerScoreCommand(program: Command): void {
  program
    .command('score')
    .argument('[model]', 'a registered model; also model@alias, model/version (default: its champion)')
    .description('score all rows of a source in one batch, and write one row of answers for each')
    .option('--file <file>', 'the batch as YAML or JSON; what else is named here wins over it')
    .option('--source <source>', 'rows: a file or glob, https://… or s3://…; PostgreSQL by --file')
    .option(
      '--output <place>',
      'a file (.parquet, .csv, .jsonl), a folder/, or s3://bucket/key; PostgreSQL by --file',
    )
    .option('--sql <select>', 'one SELECT over the table "source", or a .sql file with it')
    .option(
      '--pass-through <columns>',
      'columns to write beside the answers: all, none, or names with commas between',
    )
    .option('--entity <column>', 'the column with the key of whom a row is about')
    .option('--features', 'write what the model was given, too')
    .addOption(
      new Option(
        '--invalid <policy>',
        'rows that cannot be scored end the batch, or are written without answers',
      ).choices(['fail', 'quarantine']),
    )
    .option('--overwrite', 'replace what is there')
    .option('--chunk-rows <n>', 'rows of a chunk', count)
    .option('--parallel <n>', 'chunks at a time', count)
    .option('--deadline <duration>', 'give up after so long, such as 2h')
    .option('--batch-id <id>', 'names files and rows; the same id is written once')
    .option('--no-cache', 'score every chunk, whatever an earlier batch had for the same rows')
    .option('--workflow-id <id>', 'id of the run in Temporal')
    .option('--no-wait', 'start it and return')
    .option(
      '--render',
      'print the argument of workflow batchScoring instead, for `temporal workflow start` and schedules',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial score churn --source customers.csv --output scores.parquet\n  $ perennial score churn@challenger --source "s3://lake/day=*/rows.parquet" --output s3://lake/scores/\n  $ perennial score --file nightly.yaml --json',
    )
    .action((model: string | undefined, options: ScoreOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const input = await inputOf(model, options);
        const parsed = batchScoringInput.safeParse(input);
        if (!parsed.success)
          throw new PerennialError('InputInvalid', issueLines(parsed.error, input).join('\n'));
        if (options.render) {
          process.stdout.write(`${JSON.stringify(input, null, 2)}\n`);
          return EXIT.ok;
        }
        return withContext(dataDirOf(command), async (context) => {
          const { temporal, taskQueue } = context.perennial;
          const batches = new BatchClient(temporal, taskQueue);
          const { workflowId } = await batches.start(parsed.data, options.workflowId);
          const link = runLink(context, workflowId);
          if (!options.wait) {
            output.result({ workflowId }, () => `started ${workflowId}${link ? `, ${link}` : ''}`);
            return EXIT.ok;
          }
          output.line(`${workflowId}${link ? `, ${link}` : ''}`);
          const result = await following(batches, workflowId, output);
          output.result(result, () => resultText(result));
          return EXIT.ok;
        });
      });
    });
}

/** What file and options say together. */
async function inputOf(model: string | undefined, options: ScoreOptions): Promise<Record<string, unknown>> {
  const base = options.file === undefined ? {} : await readBatchFile(options.file);
  const { source, output, passThrough, overwrite, sql } = options;
  const named = {
    ...(model === undefined ? {} : nameOf(model)),
    ...(source === undefined ? {} : { source }),
    ...(output === undefined ? {} : { output }),
    ...(sql === undefined ? {} : { sql: await sqlOf(sql) }),
    ...(options.cache ? {} : { cache: 'off' }),
    ...(passThrough === undefined
      ? {}
      : {
          passThrough: ['all', 'none'].includes(passThrough)
            ? passThrough
            : passThrough.split(',').map((name) => name.trim()),
        }),
    ...Object.fromEntries(
      (['entity', 'features', 'invalid', 'chunkRows', 'parallel', 'deadline', 'batchId'] as const)
        .filter((key) => options[key] !== undefined)
        .map((key) => [key, options[key]]),
    ),
  };
  const input = { ...base, ...withAbsolutePaths(named, process.cwd()) };
  return overwrite ? { ...input, output: overwriting('output' in input ? input.output : undefined) } : input;
}

const overwriting = (output: unknown): unknown =>
  typeof output === 'string'
    ? { ...(output.startsWith('s3://') ? { s3: output } : { path: output }), overwrite: true }
    : { ...Object(output), overwrite: true };

function nameOf(text: string): Record<string, string> {
  const [, name = text, mark, which = ''] = /^([^@/]+)([@/])(.+)$/.exec(text) ?? [];
  if (mark === undefined) return { model: name };
  return { model: name, ...(mark === '@' ? { alias: which } : { version: which }) };
}

const sqlOf = (text: string): Promise<string> | string =>
  /^\S+\.sql$/.test(text)
    ? readFile(text, 'utf8').catch((cause: unknown) => {
        throw new PerennialError('InputInvalid', `--sql: there is no file ${text}`, false, { cause });
      })
    : text;

const POLL_MS = 1_000;
const LINE_MS = 10_000;

/** Tells how far a batch is until it ends: on a terminal in one line, elsewhere in a line now and then. */
async function following(
  batches: BatchClient,
  workflowId: string,
  output: Output,
): Promise<BatchScoringResult> {
  let ended = false;
  const over = batches.result(workflowId).finally(() => {
    ended = true;
  });
  let told = 0;
  while (!ended) {
    await Promise.race([over.catch(() => undefined), sleep(POLL_MS)]);
    // A worker that cannot be asked now is asked again; the result does not depend on it.
    const progress = ended ? undefined : await batches.progress(workflowId).catch(() => undefined);
    if (!progress || output.json) continue;
    if (output.interactive) process.stdout.write(`\r\u001b[2K  ${progressText(progress)}`);
    else if (Date.now() - told >= LINE_MS) {
      told = Date.now();
      output.line(`  ${progressText(progress)}`);
    }
  }
  if (output.interactive) process.stdout.write('\r\u001b[2K');
  return over;
}

const grouped = (value: number): string => Math.round(value).toLocaleString('en-US');

function progressText({ phase, rows, of, rowsPerSecond, invalid }: BatchProgress): string {
  const share = of === null ? '' : ` ${grouped(rows)} of ${grouped(of)} rows`;
  const rate = rowsPerSecond === null || phase !== 'scoring' ? '' : `, ${grouped(rowsPerSecond)} rows/s`;
  return `${phase}${share}${rate}${invalid > 0 ? `, ${grouped(invalid)} without an answer` : ''}`;
}

function resultText({
  model,
  version,
  rows,
  invalid,
  missingInputs,
  features,
  seconds,
  output,
  run,
}: BatchScoringResult): string {
  return [
    `${grouped(rows)} rows scored by version ${version} of ${model} in ${seconds.toFixed(1)} s: ${output.destination}`,
    ...(invalid > 0 ? [`${grouped(invalid)} rows have no answer; the column error says why`] : []),
    ...(missingInputs.length > 0
      ? [`the source has no column ${missingInputs.join(', ')}: missing in every row`]
      : []),
    ...(features?.asOf
      ? [
          `features of ${features.joined.join(', ')} as of ${'column' in features.asOf ? `the column ${features.asOf.column}` : features.asOf.at}`,
        ]
      : []),
    run.url,
  ].join('\n');
}
