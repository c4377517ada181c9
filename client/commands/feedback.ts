import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { feedbackAnswer } from '../../contracts/feedback.ts';
import type { FeedbackQuestion } from '../../contracts/prediction-questions.ts';
import { askDataEngine } from '../data-engine.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

const FORMATS: Readonly<Record<string, FeedbackQuestion['format']>> = {
  csv: 'csv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
};

/** `feedback`: what turned out to be true, from a file. */
export function registerFeedbackCommand(program: Command): void {
  program
    .command('feedback')
    .argument('<endpoint>', 'name of the endpoint')
    .argument('<file>', `what turned out to be true: ${Object.keys(FORMATS).join(', ')}`)
    .description('tell what turned out to be true, for predictions on record')
    .option('--new-endpoint', 'take it also where nothing is known of the endpoint yet')
    .addHelpText(
      'after',
      `
Columns of CSV and Parquet: request_id and row, or entity and at; value, label, metric_NAME.
JSON Lines hold what POST /v1/endpoints/ENDPOINT/feedback takes. No server need run.

Examples:
  $ perennial feedback churn outcomes.csv
  $ perennial feedback churn returns.parquet`,
    )
    .action((endpoint: string, file: string, options: { newEndpoint?: boolean }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const answer = await askDataEngine(
          'feedback',
          { endpoint, newEndpoint: options.newEndpoint === true, ...(await fileOf(file)) },
          z.object(feedbackAnswer.shape),
          dataDirOf(command),
        );
        output.result(answer, () => `${endpoint}: ${answer.accepted} records`);
        return EXIT.ok;
      });
    });
}

async function fileOf(file: string): Promise<Pick<FeedbackQuestion, 'file' | 'format'>> {
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) throw new PerennialError('InputInvalid', `there is no file ${file}`);
  const format = FORMATS[/\.(\w+)$/.exec(file)?.[1]?.toLowerCase() ?? ''];
  if (format) return { file: resolve(file), format };
  throw new PerennialError(
    'InputInvalid',
    `${file}: the name must end with .${Object.keys(FORMATS).join(', .')}`,
  );
}
