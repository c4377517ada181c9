import { writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import type { BacktestResult } from '../../contracts/backtest.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { backtest, POLICY_WORDS, policiesOf } from '../backtest.ts';
import { codeVersion } from '../code-version.ts';
import { withContext } from '../context.ts';
import { momentOf } from '../moment.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { ownName } from '../person.ts';
import { loadSpec } from '../spec-file.ts';
import { newWorkflowId } from '../workflow-id.ts';
import { dataDirOf } from './options.ts';

interface BacktestOptions {
  policies: string;
  from: string;
  to: string;
  out?: string;
}

/** `backtest`: which policy of retraining to choose. */
export function registerBacktestCommand(program: Command): void {
  program
    .command('backtest')
    .argument('<spec>', 'pipeline spec: .yaml, .json or .ts')
    .description('replay recorded data under several policies of retraining, and compare them')
    .option('--policies <names>', 'separated by commas', 'never,monthly,on-drift,on-degradation')
    .requiredOption('--from <time>', 'the first model is trained as of then (ISO 8601)')
    .requiredOption('--to <time>', 'where the last window ends (ISO 8601)')
    .option('--out <file>', 'write the report as a page to a new file')
    .addHelpText(
      'after',
      `
Policies:
${POLICY_WORDS.map(([name, words]) => `  ${name.padEnd(18)}${words}`).join('\n')}

Windows, the delay of the truth, limits and alerts are those of monitoring in the spec; the rows of a retraining,
cool-down and budget those of retraining.

Example:
  $ perennial backtest pipeline.yaml --from 2025-01-01 --to 2026-01-01 --out backtest.html`,
    )
    .action((file: string, options: BacktestOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const { input, spec } = await loadSpec(file);
        const names = options.policies.split(',').map((name) => name.trim());
        const policies = policiesOf(names, spec.retraining);
        const from = momentOf(options.from, '--from');
        const to = momentOf(options.to, '--to');
        return withContext(dataDirOf(command), async ({ perennial, mlflow }) => {
          const id = newWorkflowId(`${spec.name}-backtest`);
          output.line(`${spec.name}: back-test ${id}`);
          const result = await backtest(perennial.temporal, perennial.taskQueue, id, {
            spec: input,
            policies,
            from,
            to,
            code: await codeVersion(dirname(file)),
            startedBy: ownName(undefined),
          });
          if (options.out !== undefined) await writePage(mlflow(), result, resolve(options.out));
          output.result(result, () => textOf(result));
          return EXIT.ok;
        });
      });
    });
}

type Mlflow = ReturnType<Parameters<Parameters<typeof withContext>[1]>[0]['mlflow']>;

async function writePage(mlflow: Mlflow, { runId }: BacktestResult, path: string): Promise<void> {
  const page = await mlflow.artifacts.downloadBytes({ runId, path: 'backtest.html' });
  await writeFile(path, page, { flag: 'wx' }).catch(() => {
    throw new PerennialError(
      'InputInvalid',
      `--out: ${path} cannot be written; name a new file in a folder that is there`,
    );
  });
}

const figure = (value: number | undefined): string =>
  value === undefined ? '' : String(Number(value.toPrecision(4)));

/** The policies, the best first, and which to choose. */
function textOf({ metric, policies, advice, url }: BacktestResult): string {
  const rows = policies.map((one) => [
    `  ${one.policy}`,
    figure(one.quality[metric]),
    `${one.badWindows} of ${one.windows}`,
    String(one.retrainings),
    String(one.deployed),
    `${figure(Math.round(one.seconds * 10) / 10)} s`,
    figure(one.cost),
    String(one.trueAlerts),
    String(one.falseAlerts),
    String(one.missed),
  ]);
  const headers = [
    '  POLICY',
    `MEAN ${metric}`,
    'BAD WINDOWS',
    'RETRAININGS',
    'DEPLOYED',
    'TRAINING',
    'COST',
    'ALERTS TRUE',
    'FALSE',
    'MISSED',
  ];
  return [columns([headers, ...rows]), '', `${pc.bold('Advice')}  ${advice}`, `Report  ${url}`].join('\n');
}
