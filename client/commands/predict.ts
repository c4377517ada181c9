import { readFile } from 'node:fs/promises';
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelServerInfo } from '../../contracts/serving.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { liveServers, predict } from '../servers.ts';
import { dataDirOf } from './options.ts';

const SHOWN = 20;

/** `predict`: rows from a file or standard input to a served model. */
export function registerPredictCommand(program: Command): void {
  program
    .command('predict')
    .argument('<endpoint>', 'name of the endpoint')
    .argument(
      '[file]',
      'JSON: a row, a list of rows, or a body of the scoring protocol; default: standard input',
    )
    .description('ask a served model')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial predict bank-subscription rows.json\n  $ echo \'{"age": 41, "job": "technician"}\' | perennial predict bank-subscription',
    )
    .action((endpoint: string, file: string | undefined, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const server = await someServer(perennial.temporal);
          const answer = await predict(server.url, endpoint, await requestBody(file));
          output.result(answer, () => predictionTable(answer.predictions));
          return EXIT.ok;
        }),
      );
    });
}

/** A live model server. @throws PerennialError `ServerUnavailable` */
export async function someServer(temporal: Client): Promise<ModelServerInfo> {
  const [server] = await liveServers(temporal);
  if (server) return server;
  throw new PerennialError('ServerUnavailable', 'no model server is live; start one with `perennial up`');
}

/**
 * The rows of a file, or of standard input, as a body of the scoring protocol.
 *
 * @throws PerennialError `InputInvalid`
 */
export const requestBody = async (file: string | undefined): Promise<unknown> => bodyOf(await read(file));

async function read(file: string | undefined): Promise<unknown> {
  const text =
    file === undefined
      ? Buffer.concat(await process.stdin.toArray()).toString('utf8')
      : await readFile(file, 'utf8').catch((cause: unknown) => {
          throw new PerennialError('InputInvalid', `${file}: no such file, or it cannot be read`, false, {
            cause,
          });
        });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PerennialError(
      'InputInvalid',
      `${file ?? 'standard input'} is not JSON: ${cause instanceof Error ? cause.message : ''}`,
      false,
      { cause },
    );
  }
}

/** A row or rows become `dataframe_records`; a body of the protocol stays as it is. */
function bodyOf(value: unknown): unknown {
  if (Array.isArray(value)) return { dataframe_records: value };
  const protocol = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'];
  return typeof value === 'object' && value !== null && protocol.some((key) => key in value)
    ? value
    : { dataframe_records: [value] };
}

/** Answers as a table, the first rows of many. */
export function predictionTable(predictions: unknown): string {
  if (!Array.isArray(predictions)) return JSON.stringify(predictions, null, 2);
  const rows = predictions
    .slice(0, SHOWN)
    .map(
      (row): Record<string, unknown> =>
        typeof row === 'object' && row !== null ? { ...row } : { prediction: row },
    );
  const names = Object.keys(rows[0] ?? {});
  const cell = (value: unknown): string => (typeof value === 'number' ? value.toFixed(4) : String(value));
  const more = predictions.length > SHOWN ? `\n… and ${predictions.length - SHOWN} more` : '';
  return columns([names, ...rows.map((row) => names.map((name) => cell(row[name])))]) + more;
}
