import type { Command } from 'commander';
import type { Attribution } from '../../contracts/explanation.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { type ExplanationAnswer, explainRows } from '../servers.ts';
import { dataDirOf } from './options.ts';
import { requestBody, someServer } from './predict.ts';

/** Columns of one row that people are shown. */
const SHOWN = 12;

/** `explain`: why a served model answers so. */
export function registerExplainCommand(program: Command): void {
  program
    .command('explain')
    .argument('<endpoint>', 'name of the endpoint')
    .argument('[file]', 'JSON, as for `predict`: at most 16 rows; default: standard input')
    .description('what each column contributed to the answers of a served model')
    .addHelpText('after', '\nExample:\n  $ perennial explain bank-subscription row.json')
    .action((endpoint: string, file: string | undefined, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const server = await someServer(perennial.temporal);
          const answer = await explainRows(server.url, endpoint, await requestBody(file));
          output.result({ server: server.url, ...answer }, () => explanationText(answer));
          return EXIT.ok;
        }),
      );
    });
}

/** For each row and output the largest contributions, as text. */
export function explanationText({ predictions, explanations, confidence }: ExplanationAnswer): string {
  return explanations
    .flatMap(({ method, unit, attributions }, row) => {
      const how = method === 'tree' ? 'exact' : `sampled, ± at ${Math.round(confidence * 100)} % confidence`;
      const answers = Object.entries(predictions[row] ?? {}).map(
        ([name, value]) => `${name} ${shown(value)}`,
      );
      return attributions.map(
        (one) =>
          `row ${row}: ${answers.join(', ')}\n${one.output} in ${unit.replace('_', ' ')} (${how})\n${table(one)}`,
      );
    })
    .join('\n\n');
}

function table({ answer, base, contributions }: Attribution): string {
  const sorted = [...contributions].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const rest = sorted.slice(SHOWN).reduce((sum, { value }) => sum + value, 0);
  return columns([
    ['on average', shown(base), ''],
    ...sorted
      .slice(0, SHOWN)
      .map(({ column, value, error }) => [
        column,
        `${value < 0 ? '' : '+'}${shown(value)}`,
        error > 0 ? `± ${shown(error)}` : '',
      ]),
    ...(sorted.length > SHOWN
      ? [[`${sorted.length - SHOWN} others`, `${rest < 0 ? '' : '+'}${shown(rest)}`, '']]
      : []),
    ['this row', shown(answer), ''],
  ]);
}

const shown = (value: unknown): string => (typeof value === 'number' ? value.toFixed(4) : String(value));
