import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import {
  EVENT_FORMATS,
  type EventFormat,
  eventBatchId,
  eventFormat,
  eventLogName,
} from '../../contracts/events.ts';
import { nearest } from '../../contracts/issues.ts';
import { codeVersion } from '../code-version.ts';
import { withContext } from '../context.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { rowsFrom, storeRows } from '../row-intake.ts';
import { loadSpec } from '../spec-file.ts';
import { dataDirOf } from './options.ts';

interface IngestOptions {
  stdin?: boolean;
  file?: string;
  format?: string;
  batchId?: string;
  append: boolean;
  start?: string;
}

/** `ingest`, `events`: rows that are pushed, and the logs that hold them. */
export function registerEventCommands(program: Command): void {
  program
    .command('ingest')
    .argument('<log>', 'name of the event log; it begins with its first batch')
    .description('push rows to an event log, which pipelines read as source `{ events: LOG }`')
    .option('--stdin', 'read the rows from standard input')
    .option('--file <path>', 'read the rows from a file')
    .option(
      '--format <format>',
      `${EVENT_FORMATS.join(' or ')}; default: by the name of the file, else jsonl`,
    )
    .option(
      '--batch-id <id>',
      'what makes this batch the same one when it is sent again; default: its digest',
    )
    .option('--no-append', 'store the rows and print the argument of signal append, for the Temporal CLI')
    .option('--start <spec>', 'start a run of this pipeline when the log has the rows')
    .addHelpText(
      'after',
      '\nExamples:\n  $ producer | perennial ingest calls --stdin\n  $ perennial ingest calls --file day.csv --batch-id 2026-11-21\n  $ perennial ingest calls --file day.csv --start pipeline.yaml',
    )
    .action((log: string, options: IngestOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        checkName(log);
        const batchId = batchIdOf(options.batchId);
        const file = await fileOf(options);
        // Before anything is stored: a run that cannot start must not be found out about afterwards.
        const pipeline = options.start === undefined ? undefined : await loadSpec(options.start);
        const dataDir = dataDirOf(command);
        const stored = await storeRows(rowsFrom(file), formatOf(options.format, file), dataDir);
        const batch = { ...stored, ...(batchId === undefined ? {} : { batchId }) };
        if (!options.append) {
          process.stdout.write(`${JSON.stringify(batch)}\n`);
          return EXIT.ok;
        }
        return withContext(dataDir, async ({ perennial }) => {
          const answer = await perennial.append(log, batch);
          const run =
            pipeline && options.start !== undefined
              ? await perennial.start(pipeline.input, {
                  code: await codeVersion(dirname(options.start)),
                  startedBy: `event log ${log}`,
                })
              : undefined;
          output.result({ ...answer, ...(run ? { run } : {}) }, () =>
            [
              answer.duplicate
                ? `${log}: the batch is there already, as number ${answer.offset} (${answer.rows} rows)`
                : `${log}: ${answer.rows} rows, batch number ${answer.offset}`,
              ...(run
                ? [`started ${run.workflowId}; follow it with \`perennial status ${run.workflowId}\``]
                : []),
            ].join('\n'),
          );
          return EXIT.ok;
        });
      });
    });

  program
    .command('events')
    .argument('<log>', 'name of the event log')
    .description('what an event log holds, and what it refused')
    .action((log: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          checkName(log);
          const status = await perennial.eventLog(log);
          const { head, pending, refused } = status;
          output.result(status, () =>
            [
              `${log}: ${head.rows} rows in ${head.batches} batches${head.format ? ` (${head.format})` : ''}${pending.length > 0 ? `, ${pending.length} on their way` : ''}`,
              ...refused.map(
                ({ at, batchId, reason }) =>
                  `  ${at.slice(0, 19).replace('T', ' ')}  refused ${batchId ?? 'a signal'}: ${reason}`,
              ),
            ].join('\n'),
          );
          return EXIT.ok;
        }),
      );
    });
}

const invalid = (message: string): PerennialError => new PerennialError('InputInvalid', message);

function checkName(log: string): void {
  if (!eventLogName.safeParse(log).success)
    throw invalid(
      `"${log}" is no name of an event log: letters, digits and _; not starting with a digit; at most 63 characters`,
    );
}

function batchIdOf(text: string | undefined): string | undefined {
  if (text !== undefined && !eventBatchId.safeParse(text).success)
    throw invalid('--batch-id: letters, digits and . _ : -, first a letter or digit; at most 128 characters');
  return text;
}

/** The file that is named; `undefined` for standard input. */
async function fileOf({ stdin = false, file }: IngestOptions): Promise<string | undefined> {
  if (stdin === (file !== undefined)) throw invalid('say where the rows are: either --stdin or --file PATH');
  if (file === undefined) return undefined;
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) throw invalid(`--file: there is no file ${file}`);
  return file;
}

function formatOf(word: string | undefined, file: string | undefined): EventFormat {
  if (word === undefined) return /\.(csv|tsv)$/i.test(file ?? '') ? 'csv' : 'jsonl';
  const parsed = eventFormat.safeParse(word);
  if (parsed.success) return parsed.data;
  const hint = nearest(word, EVENT_FORMATS);
  throw invalid(
    `--format: ${word} is not one of ${EVENT_FORMATS.join(', ')}${hint ? `; did you mean ${hint}?` : ''}`,
  );
}
