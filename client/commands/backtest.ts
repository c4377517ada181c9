import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import type { BacktestProgress, BacktestResult } from '../../contracts/backtest.ts';
import { backtest, POLICY_WORDS, policiesOf, progressLines } from '../backtest.ts';
import { codeVersion } from '../code-version.ts';
import { withContext } from '../context.ts';
import { momentOf } from '../moment.ts';
import { assertNewFile, writeNewFile } from '../new-file.ts';
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
        const out = options.out === undefined ? undefined : resolve(options.out);
        // Not after minutes of work.
        if (out !== undefined) await assertNewFile(out, '--out');
        return withContext(dataDirOf(command), async ({ perennial, mlflow }) => {
          const id = newWorkflowId(`${spec.name}-backtest`);
          output.line(`${spec.name}: back-test ${id}`);
          const asked = {
            spec: input,
            policies,
            from,
            to,
            code: await codeVersion(dirname(file)),
            startedBy: ownName(undefined),
          };
          let shown: BacktestProgress | undefined;
          const show = (progress: BacktestProgress): void => {
            for (const line of progressLines(shown, progress)) output.line(`  ${line}`);
            shown = progress;
          };
          const result = await backtest(
            perennial.temporal,
            perennial.taskQueue,
            id,
            asked,
            output.json ? undefined : show,
          );
          const written = async (): Promise<void> => {
            if (out !== undefined) await writePage(mlflow(), result, out);
          };
          // With --json an error is the one document; else what took minutes is shown whatever becomes of the file.
          if (output.json) await written();
          output.result(result, () => textOf(result));
          if (!output.json) await written();
          return EXIT.ok;
        });
      });
    });
}

type Mlflow = ReturnType<Parameters<Parameters<typeof withContext>[1]>[0]['mlflow']>;

async function writePage(mlflow: Mlflow, { runId }: BacktestResult, path: string): Promise<void> {
  const page = await mlflow.artifacts.downloadBytes({ runId, path: 'backtest.html' });
  await writeNewFile(path, page, '--out');
}

const figure = (value: number | undefined): string =>
  value === undefined ? '' : String(Number(value.toPrecision(4)));

/** The policies, the best first, and which to choose. */
function textOf({ metric, firstModelFailed = [], policies, advice, url }: BacktestResult): string {
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
  const first =
    firstModelFailed.length === 0
      ? []
      : [
          `${pc.bold('Note')}    the first model serves though its gates fail, there is no other: ${firstModelFailed.join('; ')}`,
        ];
  const said = [`${pc.bold('Advice')}  ${advice}`, ...first, `Report  ${url}`];
  return [columns([headers, ...rows]), '', ...said].join('\n');
}
