import { type Command, Option } from 'commander';
import pc from 'picocolors';
import type { ErasureResult } from '../../contracts/erasure.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { entityFrom, storeRequest } from '../person-request.ts';
import { dataDirOf } from './options.ts';

interface EraseOptions {
  entity: string;
  entityColumn?: string;
  pipeline?: string[];
  dryRun?: boolean;
  wait?: boolean;
  by: string;
  reason: string;
}

/** `erase`: one person's rows, out of everything that was stored. */
export function registerEraseCommand(program: Command): void {
  program
    .command('erase')
    .description(
      "remove one person's rows from everything that was stored, and list the models trained on them",
    )
    .requiredOption(
      '--entity <id>',
      'id of the person, as in the data; - asks for it, or reads standard input',
    )
    .option('--entity-column <name>', 'only where it stands in this column of privacy.subject')
    .option('--pipeline <name...>', 'only in the rows of these pipelines')
    .option('--dry-run', 'only say what would be erased')
    .addOption(
      new Option('--wait', 'wait for lifecycle runs that are in the way, instead of failing').conflicts(
        'dryRun',
      ),
    )
    .option('--by <name>', 'who asked for it, for the certificate', '')
    .option('--reason <text>', 'why, for the certificate; nothing about the person', '')
    .addHelpText(
      'after',
      '\nThe arguments of a command can be seen by others and stay in the history of the shell: use --entity -\n\nExamples:\n  $ perennial erase --entity - --dry-run\n  $ perennial erase --entity - --by dpo --reason "request 2026-117" < id.txt\n\nExit codes: 0 nothing is left, 1 some places could not be looked through',
    )
    .action((options: EraseOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial, dataDir }) => {
          const entity = await entityFrom(options.entity);
          if (entity.trim() === '') throw new PerennialError('InputInvalid', 'the id of the person is empty');
          const request = await storeRequest(
            { entity, column: options.entityColumn ?? null, pipelines: options.pipeline ?? null },
            dataDir,
          );
          const result = await perennial.erase({
            request,
            dryRun: options.dryRun === true,
            wait: options.wait === true,
            by: options.by,
            reason: options.reason,
          });
          output.result(result, () => erasureText(result));
          return result.complete ? EXIT.ok : EXIT.failed;
        }),
      );
    });
}

/** What an erasure did, for a terminal. */
export function erasureText(result: ErasureResult): string {
  const { certificate, complete, found, models, modelCount, unsearched } = result;
  const parts: string[] = [];
  if (found.length === 0)
    parts.push(
      'no rows of this person were found; people are looked for by the columns under privacy.subject, and by no others',
    );
  else
    parts.push(
      columns([
        [certificate === null ? 'FOUND IN' : 'ERASED FROM', 'STORE', 'PLACES', 'ROWS', 'PIPELINES'],
        ...found.map(({ kind, store, places, rows, pipelines }) => [
          kind,
          store,
          String(places),
          String(rows),
          pipelines.join(', '),
        ]),
      ]),
    );
  if (found.length > 0 && modelCount === 0) parts.push('no registered model was trained on these rows');
  if (modelCount > 0)
    parts.push(
      columns([
        ['TRAINED ON THEM', 'VERSION', 'ALIASES', 'PIPELINE'],
        ...models.map(({ name, version, aliases, pipeline, parts: used }) => [
          name,
          version,
          aliases === null ? 'deleted' : aliases.join(', ') || '-',
          used.includes('train') ? pipeline : `${pipeline} (chosen by them, not fitted)`,
        ]),
      ]) + (modelCount > models.length ? `\nand ${modelCount - models.length} more` : ''),
      'What a model learned stays in it. To be rid of it, train anew and take the old versions away:\n' +
        [...new Set(models.map(({ pipeline }) => pipeline))]
          .map((pipeline) => `  perennial run <spec of ${pipeline}>`)
          .join('\n'),
    );
  if (unsearched.length > 0)
    parts.push(
      `${pc.yellow('could not be looked through')}\n${unsearched
        .map(
          ({ kind, places, pipelines, why }) =>
            `  ${places} × ${kind}${pipelines.length > 0 ? ` of ${pipelines.join(', ')}` : ''}: ${why}`,
        )
        .join('\n')}`,
    );
  if (certificate === null) parts.push('nothing was changed: without --dry-run these rows are erased');
  else
    parts.push(
      `${complete ? pc.green('✓') : pc.yellow('!')} ${complete ? 'nothing of this person is left in what was looked through' : 'not complete'}; certificate ${certificate}`,
      'Source files and databases are not changed; what they still hold of this person is left out of every run.',
    );
  return parts.join('\n\n');
}
