import { dirname } from 'node:path';
import type { Command } from 'commander';
import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import { STAGES, type StageName } from '../../contracts/stages.ts';
import { codeVersion } from '../code-version.ts';
import { runLink, withContext } from '../context.ts';
import { failedChecks } from '../failed-checks.ts';
import { follow } from '../follow.ts';
import { momentOf } from '../moment.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { ownName } from '../person.ts';
import { withPins } from '../pins.ts';
import { statusText } from '../progress.ts';
import { loadSpec } from '../spec-file.ts';
import { verdictText } from '../verdict.ts';
import { dataDirOf } from './options.ts';

interface RunOptions {
  workflowId?: string;
  wait: boolean;
  approve?: boolean;
  by?: string;
  as?: string;
  asOf?: string;
  cache: boolean;
  refresh: StageName[];
  pin: string[];
}

/** `run`, `retry`, `cancel`, `render`: what starts, restarts and stops runs. */
export function registerRunCommands(program: Command): void {
  program
    .command('run')
    .argument('<spec>', 'pipeline spec: .yaml, .json or .ts')
    .description('start a lifecycle run and follow it to its end')
    .option('--workflow-id <id>', 'id of the run; default: pipeline, time and a random part')
    .option('--no-wait', 'start it and return')
    .option('--approve', 'approve the candidate without asking (for scripts)')
    .option('--by <name>', 'name of the approver with --approve', 'perennial run --approve')
    .option(
      '--as <name>',
      'who starts the run, whose own approval does not count unless the spec lets it (default: PERENNIAL_USER, else the user of the system)',
    )
    .option(
      '--as-of <time>',
      'a retraining as of this time (ISO 8601): on the rows of retraining.window, and nothing later',
    )
    .option('--no-cache', 'run every stage, whatever the step cache holds')
    .option('--refresh <stages>', 'run these stages again, separated by commas', stagesOf, [])
    .option(
      '--pin <source=digest>',
      'take an earlier snapshot of a source; may be repeated',
      (word: string, pins: string[]) => [...pins, word],
      [],
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial run examples/bank/pipeline.yaml\n  $ perennial run pipeline.yaml --approve --by ci --json\n  $ perennial run pipeline.yaml --refresh ingest,split',
    )
    .action((file: string, options: RunOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const { input, spec } = await loadSpec(file);
        return withContext(dataDirOf(command), async (context) => {
          const started = await context.perennial.start(withPins(input, options.pin), {
            code: await codeVersion(dirname(file)),
            cache: { use: options.cache, refresh: options.refresh },
            author: ownName(options.as),
            ...(options.workflowId ? { workflowId: options.workflowId } : {}),
            ...(options.asOf === undefined ? {} : { asOf: momentOf(options.asOf, '--as-of') }),
          });
          if (!options.wait) {
            output.result(
              started,
              () =>
                `started ${started.workflowId}; follow it with \`perennial status ${started.workflowId}\``,
            );
            return EXIT.ok;
          }
          const link = runLink(context, started.workflowId);
          output.line(`${spec.name}: run ${started.workflowId}${link ? `, ${link}` : ''}`);
          const result = await follow(
            context,
            started.workflowId,
            output,
            options.approve ? { approveAs: options.by ?? '' } : {},
          ).catch(async (error: unknown) => {
            const status = await context.perennial.status(started.workflowId).catch(() => undefined);
            const details = status && (await failedChecks(status, context.mlflow));
            if (details) output.line(details);
            throw error;
          });
          if (!result) return EXIT.failed;
          if (result.outcome === 'gates_failed' && result.outputs.gates)
            output.line(verdictText(result.outputs.gates));
          output.result(result, () => `${result.outcome}: ${result.message}`);
          return result.outcome === 'deployed' ? EXIT.ok : EXIT.notDeployed;
        });
      });
    });

  program
    .command('retry')
    .argument('<run>', 'id of a run that has ended')
    .requiredOption('--from <stage>', `stage to start at: ${STAGES.join(', ')}`)
    .description('take an ended run up again with what it already has')
    .addHelpText(
      'after',
      '\nExample:\n  $ perennial retry flights-delay-20261121-101500-3f2a --from register',
    )
    .action((workflowId: string, options: { from: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const started = await perennial.retry(workflowId, stageOf(options.from));
          output.result(
            started,
            () => `started ${started.workflowId}; follow it with \`perennial status ${started.workflowId}\``,
          );
          return EXIT.ok;
        }),
      );
    });

  program
    .command('cancel')
    .argument('<run>', 'id of a running run')
    .description('stop a run; it cleans up behind itself')
    .action((workflowId: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          await perennial.cancel(workflowId);
          await perennial.result(workflowId).catch(() => undefined);
          const status = await perennial.status(workflowId);
          output.result(status, () => statusText(status));
          return EXIT.ok;
        }),
      );
    });

  program
    .command('render')
    .argument('<spec>', 'pipeline spec: .yaml, .json or .ts')
    .description(
      'print the self-contained argument of workflow lifecycle, for `temporal workflow start --input-file`',
    )
    .addHelpText(
      'after',
      '\nExample:\n  $ perennial render pipeline.yaml > run.json\n  $ temporal workflow start --type lifecycle --task-queue perennial --workflow-id first --input-file run.json',
    )
    .action((file: string, _options: unknown, command: Command) =>
      guarded(outputOf(command).json, async () => {
        const { input } = await loadSpec(file);
        process.stdout.write(
          `${JSON.stringify({ spec: input, code: await codeVersion(dirname(file)) }, null, 2)}\n`,
        );
        return EXIT.ok;
      }),
    );
}

const stagesOf = (words: string): StageName[] => words.split(',').map((word) => stageOf(word, '--refresh'));

function stageOf(word: string, option = '--from'): StageName {
  const stage = STAGES.find((name) => name === word);
  if (stage) return stage;
  const hint = nearest(word, STAGES);
  throw new PerennialError(
    'InputInvalid',
    `${option}: there is no stage ${word}${hint ? `; did you mean ${hint}?` : ''} The stages are ${STAGES.join(', ')}`,
  );
}
