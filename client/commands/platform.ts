import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import pc from 'picocolors';
import { PerennialError } from '../../contracts/errors.ts';
import { temporalOf, withContext } from '../context.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { backup, restore } from '../platform/backup.ts';
import type { PlatformOptions } from '../platform/options.ts';
import { Platform, PlatformRunningError } from '../platform/platform.ts';
import { packageRoot } from '../platform/programs.ts';
import { runningPlatform, stopRunning } from '../platform/running.ts';
import { formatStatus } from '../platform/status.ts';
import { dataDirOf } from './options.ts';

interface UpOptions {
  temporalAddress?: string;
  namespace?: string;
  mlflowUri?: string;
  sourceRoot?: string[];
  resource?: string[];
  replay?: boolean;
}

const RESOURCE_HELP =
  'resource classes of training whose trials this worker takes too; default: PERENNIAL_RESOURCES';

/** Starts a platform and says on the way what is ready. */
export async function startPlatform(
  options: PlatformOptions,
  say: (line: string) => void,
): Promise<Platform> {
  return Platform.start({
    ...options,
    onEvent: ({ part, seconds }) => {
      if (part.state === 'ready')
        say(
          `  ${pc.green('✓')} ${part.name.padEnd(8)} ${part.url ?? ''}${seconds === undefined ? '' : pc.dim(` ${seconds.toFixed(1)} s`)}`,
        );
      else if (part.state === 'restarting' || part.state === 'failed')
        say(`  ${pc.yellow('!')} ${part.name} ${part.state}: ${part.note ?? ''}`);
    },
  });
}

/** `up`, `down`, `backup`, `restore`, `gc`, `worker`, `serve`. */
export function registerPlatformCommands(program: Command): void {
  program
    .command('up')
    .description('start Temporal, MLflow, a worker and the model server on this machine, and watch them')
    .option('--temporal-address <host:port>', 'use a Temporal server that exists')
    .option('--namespace <name>', 'Temporal namespace')
    .option('--mlflow-uri <url>', 'use an MLflow server that exists')
    .option('--source-root <dir...>', 'folders that specs may read data from; default: the working directory')
    .option('--resource <class...>', RESOURCE_HELP)
    .option(
      '--replay',
      'take recorded traffic: requests and feedback say by the header perennial-time when they happened; not for production',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial up\n  $ perennial up --mlflow-uri https://mlflow.example.com --source-root /data',
    )
    .action((options: UpOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        output.line('starting');
        const platform = await startPlatform(
          {
            dataDir: dataDirOf(command),
            ...(options.temporalAddress ? { temporalAddress: options.temporalAddress } : {}),
            ...(options.namespace ? { namespace: options.namespace } : {}),
            ...(options.mlflowUri ? { mlflowUri: options.mlflowUri } : {}),
            ...(options.sourceRoot ? { sourceRoots: options.sourceRoot } : {}),
            ...(options.resource ? { resources: options.resource } : {}),
            ...(options.replay ? { replay: true } : {}),
          },
          (line) => output.line(line),
        ).catch((error: unknown) => {
          if (error instanceof PlatformRunningError && error.running) {
            const { running } = error;
            output.result(running, () => `already running\n${formatStatus(running)}`);
            return undefined;
          }
          throw error;
        });
        if (!platform) return EXIT.ok;
        platform.stopOnSignals();
        output.result(
          platform.status(),
          () => `\n${formatStatus(platform.status())}\nCtrl-C or \`perennial down\` stops it.`,
        );
        await platform.closed;
        return EXIT.ok;
      });
    });

  program
    .command('down')
    .description('stop what `perennial up` started, in order')
    .action((_options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const result = await stopRunning(dataDirOf(command));
        output.result(result, () => (result.wasRunning ? 'stopped' : `nothing ran on ${dataDirOf(command)}`));
        return EXIT.ok;
      });
    });

  program
    .command('backup')
    .argument('<file>', 'archive to write, for example perennial.tar.gz')
    .description('write databases, artifacts and routes into one archive, also while it all runs')
    .action((file: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const result = await backup(dataDirOf(command), file, { keyring: process.env.PERENNIAL_KEYRING });
        output.result(
          result,
          () =>
            `wrote ${result.file}: ${result.files} files, ${(result.bytes / 1e6).toFixed(1)} MB${result.keyrings.length > 0 ? `\nThe keys of encrypted artifacts are not part of it: keep ${result.keyrings.join(', ')} in another safe place` : ''}`,
        );
        return EXIT.ok;
      });
    });

  program
    .command('restore')
    .argument('<file>', 'archive that `perennial backup` wrote')
    .description('put a backup into the data directory')
    .option('--force', 'put what is there aside')
    .action((file: string, options: { force?: boolean }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const result = await restore(file, dataDirOf(command), {
          force: options.force === true,
          keyring: process.env.PERENNIAL_KEYRING,
        });
        output.result(
          result,
          () =>
            `restored ${result.files} files of ${result.createdAt} into ${result.dataDir}${result.replaced ? `; what was there lies in ${result.replaced}` : ''}`,
        );
        return EXIT.ok;
      });
    });

  program
    .command('gc')
    .description('delete artifacts that only failed or cancelled runs name; the worker does it once a day')
    .option('--keep-failed-runs <duration>', 'how long failed runs can be taken up again', '7d')
    .option('--keep-unnamed <duration>', 'how long artifacts that no run names are kept', '7d')
    .option('--keep-cache <duration>', 'how long results of stages that no run uses are kept', '30d')
    .action(
      (options: { keepFailedRuns: string; keepUnnamed: string; keepCache: string }, command: Command) => {
        const output = outputOf(command);
        return guarded(output.json, () =>
          withContext(dataDirOf(command), async ({ perennial }) => {
            const result = await perennial.collectGarbage(options);
            output.result(
              result,
              () =>
                `deleted ${result.deletedArtifacts} artifacts (${(result.deletedBytes / 1e6).toFixed(1)} MB), kept ${result.keptArtifacts}`,
            );
            return EXIT.ok;
          }),
        );
      },
    );

  program
    .command('worker')
    .description('run a worker alone, against servers that exist (TEMPORAL_ADDRESS, MLFLOW_TRACKING_URI)')
    .option('--resource <class...>', RESOURCE_HELP)
    .action(({ resource }: Pick<UpOptions, 'resource'>, command: Command) =>
      guarded(outputOf(command).json, () =>
        runRole('worker', dataDirOf(command), resource ? { PERENNIAL_RESOURCES: resource.join(',') } : {}),
      ),
    );
  program
    .command('serve')
    .description('run a model server alone, against servers that exist (TEMPORAL_ADDRESS)')
    .action((_options: unknown, command: Command) =>
      guarded(outputOf(command).json, () => runRole('serve', dataDirOf(command))),
    );
}

/** Runs a long-lived role in a process of its own, with this process's signals and streams. */
function runRole(role: string, dataDir: string, more: NodeJS.ProcessEnv = {}): Promise<number> {
  const platform = runningPlatform(dataDir);
  const env: NodeJS.ProcessEnv = { ...process.env, ...more, PERENNIAL_DATA_DIR: dataDir };
  const { address, namespace } = temporalOf(platform);
  env.TEMPORAL_ADDRESS = address;
  env.TEMPORAL_NAMESPACE = namespace;
  if (!env.MLFLOW_TRACKING_URI && platform?.mlflowUri) env.MLFLOW_TRACKING_URI = platform.mlflowUri;
  const child = spawn(process.execPath, [`${packageRoot()}/dist/workers/main.js`, role], {
    stdio: 'inherit',
    env,
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new PerennialError('StageFailed', `${role} could not be started: ${cause.message}`, false, { cause }),
      ),
    );
    child.once('exit', (code) => resolve(code ?? EXIT.failed));
  });
}
