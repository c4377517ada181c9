import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import { PerennialError } from '../../contracts/errors.ts';
import type { LifecycleResult } from '../../contracts/lifecycle.ts';
import { codeVersion } from '../code-version.ts';
import { type Context, runLink, withContext } from '../context.ts';
import { type ContinuousOptions, continuousDemo } from '../demo/continuous-demo.ts';
import { follow } from '../follow.ts';
import { EXIT, guarded, type Output, outputOf } from '../output.ts';
import { timeSpent } from '../overhead.ts';
import { ownName } from '../person.ts';
import { packageRoot } from '../platform/programs.ts';
import { runningPlatform } from '../platform/running.ts';
import { liveServers, predict } from '../servers.ts';
import { loadSpec } from '../spec-file.ts';
import { dataDirOf } from './options.ts';
import { startPlatform } from './platform.ts';
import { predictionTable } from './predict.ts';

interface DemoOptions {
  approve?: boolean;
  keep?: boolean;
  example: string;
  months: string;
}

/** Months of production that the story of a model that stays good takes by itself. */
const DEFAULT_MONTHS = 12;
/** The recorded data end in November 2010. */
const MOST_MONTHS = 18;

/** `demo`: the main job, from raw files to predictions of the served model. */
export function registerDemoCommand(program: Command): void {
  program
    .command('demo')
    .argument('[story]', 'continuous: a model in production, watched and trained anew as its data change')
    .description('from raw flights to an approved, serving model, on a platform of its own')
    .option('--approve', 'approve the candidate without asking; so it is without a terminal, too')
    .option('--keep', 'leave the platform running until Ctrl-C')
    .option('--example <name>', 'flights or bank', 'flights')
    .option('--months <n>', 'continuous: months of production', String(DEFAULT_MONTHS))
    .action((story: string | undefined, options: DemoOptions, command: Command) => {
      const output = outputOf(command);
      const dataDir = dataDirOf(command);
      return guarded(output.json, () =>
        story === undefined
          ? demo(options, dataDir, output)
          : continuousDemo(storyOf(story, options, output), dataDir, output),
      );
    });
}

function storyOf(story: string, options: DemoOptions, output: Output): ContinuousOptions {
  if (story !== 'continuous')
    throw new PerennialError('InputInvalid', `there is no story ${story}; there is: continuous`);
  const months = Number(options.months);
  if (!Number.isInteger(months) || months < 1 || months > MOST_MONTHS)
    throw new PerennialError('InputInvalid', `--months: expected a whole number from 1 to ${MOST_MONTHS}`);
  const approve = options.approve === true || !output.interactive;
  return { approve, keep: options.keep === true, months };
}

async function demo(options: DemoOptions, dataDir: string, output: Output): Promise<number> {
  const folder = join(packageRoot(), 'examples', options.example);
  const specFile = join(folder, 'pipeline.yaml');
  if (!existsSync(specFile))
    throw new PerennialError('InputInvalid', `there is no example ${options.example}; use flights or bank`);
  if (!existsSync(join(folder, 'data')))
    throw new PerennialError(
      'InputInvalid',
      `the data of the example are missing; run \`npm run setup\` in a checkout of Perennial`,
    );
  const { input, spec } = await loadSpec(specFile);

  const startedAt = performance.now();
  output.line(pc.bold('Platform'));
  const own = runningPlatform(dataDir)
    ? undefined
    : await startPlatform({ dataDir, sourceRoots: [join(packageRoot(), 'examples')] }, (line) =>
        output.line(line),
      );
  own?.stopOnSignals();
  if (!own) output.line('  already running');
  const platformSeconds = (performance.now() - startedAt) / 1000;
  try {
    return await withContext(dataDir, async (context) => {
      output.line(pc.bold('\nMain job'));
      const { workflowId } = await context.perennial.start(input, {
        code: await codeVersion(packageRoot()),
        startedBy: 'perennial demo',
        author: ownName(undefined),
      });
      const approve = options.approve === true || !output.interactive;
      const result = await follow(
        context,
        workflowId,
        output,
        approve ? { approveAs: 'perennial demo' } : {},
      );
      if (!result) {
        if (own)
          output.line('The platform of the demo stops now; `perennial up` takes the run up where it is.');
        return EXIT.failed;
      }
      const spent = await timeSpent(context.perennial.temporal, workflowId, result.waitedMs);
      if (result.outcome !== 'deployed') {
        output.result({ result, spent }, () => `\n${result.outcome}: ${result.message}`);
        return EXIT.notDeployed;
      }
      const answers = await askServed(context, spec.deployment.endpoint, result);
      const links = await linksOf(context, workflowId, spec.deployment.endpoint);
      const seconds = {
        platform: platformSeconds,
        ...Object.fromEntries(Object.entries(spent).map(([name, value]) => [name, value / 1000])),
      };
      output.result({ result, predictions: answers, links, seconds }, () =>
        summary(result, answers, links, seconds),
      );
      if (options.keep && own) {
        output.line(`\nLeft running; Ctrl-C or \`perennial down\` stops it.`);
        await own.closed;
      }
      return EXIT.ok;
    });
  } finally {
    await own?.stop();
  }
}

/** The model's input example, sent to the deployed endpoint. */
async function askServed(
  context: Context,
  endpoint: string,
  result: LifecycleResult,
): Promise<{ rows: Record<string, unknown>[]; predictions: unknown; server: string }> {
  const [server] = await liveServers(context.perennial.temporal);
  if (!server) throw new PerennialError('ServerUnavailable', 'no model server is live');
  const rows = await inputExample(context, result);
  const { predictions } = await predict(server.url, endpoint, { dataframe_records: rows });
  return { rows, predictions, server: server.url };
}

/** The input example of the registered model, from MLflow. */
async function inputExample(context: Context, result: LifecycleResult): Promise<Record<string, unknown>[]> {
  const modelId = result.outputs.register?.modelId ?? '';
  const bytes = await context.mlflow().artifacts.downloadBytes({ modelId, path: 'input_example.json' });
  const { columns, data } = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
    columns: string[];
    data: unknown[][];
  };
  return data.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
}

async function linksOf(
  context: Context,
  workflowId: string,
  endpoint: string,
): Promise<Record<string, string>> {
  const status = await context.perennial.status(workflowId);
  const [server] = await liveServers(context.perennial.temporal);
  const link = runLink(context, workflowId);
  return {
    ...(link ? { 'Temporal UI': link } : {}),
    ...status.links,
    ...(server ? { 'Model server': `${server.url}/v2/models/${endpoint}` } : {}),
  };
}

function summary(
  result: LifecycleResult,
  answers: { rows: Record<string, unknown>[]; predictions: unknown },
  links: Record<string, string>,
  seconds: Record<string, number>,
): string {
  const { evaluate, deploy } = result.outputs;
  const metrics = Object.entries(evaluate?.test ?? {}).map(([name, value]) => `${name} ${value.toFixed(4)}`);
  const time = Object.entries(seconds).map(([name, value]) => `${name} ${value.toFixed(1)} s`);
  return [
    `\n${pc.bold('Done')}: ${result.message} (generation ${deploy?.generation})`,
    `  ${evaluate?.winner.name} on the untouched test split: ${metrics.join(', ')}`,
    `\n${pc.bold('Predictions')} of the served model for the ${answers.rows.length} rows of its input example`,
    predictionTable(answers.predictions)
      .split('\n')
      .map((line) => `  ${line}`)
      .join('\n'),
    `\n${pc.bold('Look at')}`,
    ...Object.entries(links).map(([name, url]) => `  ${name.padEnd(14)} ${url}`),
    `\n${pc.bold('Time')}  ${time.join(', ')}`,
    `  overhead is the engine's own: wall time less the work of activities and less the wait for a person`,
  ].join('\n');
}
