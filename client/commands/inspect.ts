import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import { collect, MlflowError } from '../../packages/mlflow-client-ts/src/index.ts';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import type { RunSummary } from '../perennial-client.ts';
import { runningPlatform } from '../platform/running.ts';
import { formatStatus } from '../platform/status.ts';
import { statusText } from '../progress.ts';
import { verdictText } from '../verdict.ts';
import { dataDirOf } from './options.ts';

const LIST_LIMIT = 50;

/** `status`, `runs`, `models`: what there is. */
export function registerInspectCommands(program: Command): void {
  program
    .command('status')
    .argument('[run]', 'id of a run; without it: the platform on this machine')
    .description('stages, times and numbers of a run, or what runs on this machine')
    .action((workflowId: string | undefined, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        if (workflowId === undefined) {
          const platform = runningPlatform(dataDirOf(command));
          output.result(platform ?? null, () =>
            platform
              ? formatStatus(platform)
              : `nothing runs on ${dataDirOf(command)}; start it with \`perennial up\``,
          );
          return platform ? EXIT.ok : EXIT.failed;
        }
        return withContext(dataDirOf(command), async ({ perennial }) => {
          const status = await perennial.status(workflowId);
          const gates = output.json ? undefined : await perennial.verdict(workflowId).catch(() => undefined);
          output.result(status, () =>
            gates ? `${statusText(status)}\n\n${verdictText(gates)}` : statusText(status),
          );
          return EXIT.ok;
        });
      });
    });

  program
    .command('runs')
    .description('list lifecycle runs, newest first')
    .option('--pipeline <name>', 'only of this pipeline')
    .option('--awaiting', 'only those that wait for approval')
    .action((options: { pipeline?: string; awaiting?: boolean }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const found: RunSummary[] = [];
          const filter = {
            ...(options.pipeline ? { pipeline: options.pipeline } : {}),
            ...(options.awaiting ? { awaitingApproval: true } : {}),
          };
          for await (const run of perennial.runs(filter)) {
            found.push(run);
            if (found.length >= LIST_LIMIT) break;
          }
          output.result(found, () =>
            found.length === 0
              ? 'no runs'
              : columns([
                  ['RUN', 'STATUS', 'STAGE', 'MODEL', 'STARTED'],
                  ...found.map((run) => [
                    run.workflowId,
                    run.awaitingApproval ? 'awaiting approval' : run.status.toLowerCase(),
                    run.stage ?? '',
                    run.modelVersion ?? '',
                    run.startedAt.toISOString().slice(0, 19).replace('T', ' '),
                  ]),
                ]),
          );
          return EXIT.ok;
        }),
      );
    });

  program
    .command('models')
    .argument('[name]', 'a registered model: its versions')
    .description('list registered models, or the versions of one')
    .action((name: string | undefined, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async (context) => {
          const mlflow = context.mlflow();
          if (name === undefined) {
            const models = await collect(mlflow.registeredModels.search({ limit: LIST_LIMIT }));
            const rows = models.map((model) => ({
              name: model.name,
              champion: model.aliases.champion ?? null,
              challenger: model.aliases.challenger ?? null,
              description: model.description ?? '',
            }));
            output.result(rows, () =>
              columns([
                ['MODEL', 'CHAMPION', 'CHALLENGER', 'DESCRIPTION'],
                ...rows.map((row) => [
                  row.name,
                  row.champion ?? '–',
                  row.challenger ?? '–',
                  row.description.slice(0, 70),
                ]),
              ]),
            );
            return EXIT.ok;
          }
          const { aliases } = await mlflow.registeredModels.get({ name }).catch((cause: unknown) => {
            if (!(cause instanceof MlflowError && cause.isNotFound)) throw cause;
            throw new PerennialError(
              'InputInvalid',
              `there is no model ${name}; list them with \`perennial models\``,
              false,
              { cause },
            );
          });
          const versions = await collect(
            mlflow.modelVersions.search({
              filter: `name = '${name.replaceAll("'", '')}'`,
              orderBy: ['version_number DESC'],
              limit: LIST_LIMIT,
            }),
          );
          const rows = versions.map((version) => ({
            version: version.version,
            aliases: Object.entries(aliases)
              .filter(([, target]) => target === version.version)
              .map(([alias]) => alias),
            outcome: version.tags['perennial.outcome'] ?? '',
            run: version.tags['perennial.workflow_id'] ?? '',
            description: version.description ?? '',
          }));
          output.result(rows, () =>
            columns([
              ['VERSION', 'ALIASES', 'OUTCOME', 'RUN', 'DESCRIPTION'],
              ...rows.map((row) => [
                row.version,
                row.aliases.join(','),
                row.outcome,
                row.run,
                row.description,
              ]),
            ]),
          );
          return EXIT.ok;
        }),
      );
    });
}
