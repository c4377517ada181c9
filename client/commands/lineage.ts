import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import pc from 'picocolors';
import { PerennialError } from '../../contracts/errors.ts';
import { QUERIES } from '../../contracts/names.ts';
import { STAGES, stageOutputs } from '../../contracts/stages.ts';
import { comparisonText } from '../comparison-text.ts';
import { type Context, runLink, withContext } from '../context.ts';
import { startReproduction, statesOf } from '../lineage-questions.ts';
import { artifactsOf, type Origin, originTree } from '../lineage-tree.ts';
import { type SnapshotUse, snapshotUses, unknownSource, usesTree } from '../lineage-uses.ts';
import { tracedVersion } from '../model-versions.ts';
import { EXIT, guarded, type Output, outputOf } from '../output.ts';
import { reproductionText } from '../reproduction-text.ts';
import { treeText } from '../tree.ts';
import { compareVersions } from '../version-comparison.ts';
import { dataDirOf } from './options.ts';

const MODEL = 'a registered model; also model@alias, model/version';
const VERSION = 'a version or an alias (default: champion)';

/** `lineage`, `compare`, `reproduce`: where versions come from, what they differ in, and whether they come out again. */
export function registerLineageCommands(program: Command): void {
  program
    .command('lineage')
    .argument('[model]', MODEL)
    .argument('[version]', VERSION)
    .description(
      'what a version was made of, back to the commit and the rows; or what was made of a snapshot',
    )
    .option('--snapshot <digest>', 'what was made of this snapshot: its digest, or what it begins with')
    .option('--source <name>', 'what was made of all snapshots of this source')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial lineage flights-delay\n  $ perennial lineage flights-delay 3\n  $ perennial lineage flights-delay@challenger --json\n  $ perennial lineage --snapshot 9f86d081884c\n  $ perennial lineage --source flights',
    )
    .action(
      (
        model: string | undefined,
        version: string | undefined,
        options: { snapshot?: string; source?: string },
        command: Command,
      ) => {
        const output = outputOf(command);
        return guarded(output.json, () => {
          const given = [model, options.snapshot, options.source].filter((one) => one !== undefined);
          if (given.length !== 1)
            throw new PerennialError('InputInvalid', 'name one of: a model, --snapshot, --source');
          return withContext(dataDirOf(command), async (context) => {
            if (model !== undefined) {
              const origin = await originOf(context, model, version);
              const { traced, states, endpoint } = origin;
              output.result({ ...traced, states: [...states.values()], endpoint }, () =>
                treeText(originTree(origin)),
              );
              return EXIT.ok;
            }
            const uses = options.snapshot
              ? await usesOfDigest(context, options.snapshot)
              : await usesOfSource(context, options.source ?? '');
            const states = await statesOf(
              context.perennial,
              uses.map(({ sha256 }) => sha256),
            );
            output.result(
              uses.map((use) => ({ ...use, state: states.get(use.sha256) })),
              () => uses.map((use) => treeText(usesTree(use, states))).join('\n\n'),
            );
            return EXIT.ok;
          });
        });
      },
    );

  program
    .command('compare')
    .argument('<model>', 'a registered model')
    .argument('<a>', 'a version or an alias')
    .argument('[b]', VERSION)
    .description('two versions side by side: metrics, gates, and what differs in spec, data and training')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial compare flights-delay 3 4\n  $ perennial compare flights-delay challenger',
    )
    .action((model: string, a: string, b: string | undefined, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async (context) => {
          const mlflow = context.mlflow();
          const found = compareVersions(
            await tracedVersion(mlflow, model, a),
            await tracedVersion(mlflow, model, b ?? 'champion'),
          );
          output.result(found, () => comparisonText(found));
          return EXIT.ok;
        }),
      );
    });

  program
    .command('reproduce')
    .argument('<model>', MODEL)
    .argument('[version]', VERSION)
    .description('make a version again from the stored snapshots, and say whether the same model comes of it')
    .option('--by <name>', 'who asks for it, for the MLflow run', '')
    .option('--no-wait', 'start it and return at once')
    .addHelpText(
      'after',
      '\nNothing is registered, and the sources are not read: their snapshots are.\n\nExample:\n  $ perennial reproduce flights-delay 3\n\nExit codes: 0 the same model file, 1 another one',
    )
    .action(
      (
        model: string,
        version: string | undefined,
        options: { by: string; wait: boolean },
        command: Command,
      ) => {
        const output = outputOf(command);
        return guarded(output.json, () =>
          withContext(dataDirOf(command), async (context) => {
            const traced = await tracedVersion(context.mlflow(), model, version);
            const started = await startReproduction(context.perennial, {
              modelName: traced.name,
              version: traced.version,
              startedBy: options.by,
            });
            const { workflowId } = started;
            const link = runLink(context, workflowId);
            if (!options.wait) {
              output.result({ workflowId }, () => `started ${workflowId}${link ? `, ${link}` : ''}`);
              return EXIT.ok;
            }
            output.line(`${workflowId}${link ? `, ${link}` : ''}`);
            const result = await following(context, workflowId, output, started.result());
            output.result(result, () => reproductionText(result));
            return result.verdict === 'identical' ? EXIT.ok : EXIT.failed;
          }),
        );
      },
    );
}

const POLL_MS = 1_000;

/** A line for each stage that is done, until the result is there. */
async function following<T>(
  { perennial }: Context,
  workflowId: string,
  output: Output,
  result: Promise<T>,
): Promise<T> {
  const shown = new Set<string>();
  let ended = false;
  const over = result.finally(() => {
    ended = true;
  });
  const handle = perennial.temporal.workflow.getHandle(workflowId);
  const show = async (): Promise<void> => {
    // A worker that cannot be asked now is asked again; the result does not depend on it.
    const outputs = stageOutputs.safeParse(await handle.query(QUERIES.outputs).catch(() => undefined));
    for (const stage of outputs.success ? STAGES.filter((name) => outputs.data[name] !== undefined) : [])
      if (!shown.has(stage)) {
        shown.add(stage);
        output.line(`  ${pc.green('✓')} ${stage}`);
      }
  };
  while (!ended) {
    await show();
    await Promise.race([over.catch(() => undefined), sleep(POLL_MS)]);
  }
  const found = await over;
  await show();
  return found;
}

async function originOf(context: Context, model: string, version: string | undefined): Promise<Origin> {
  const { perennial } = context;
  const traced = await tracedVersion(context.mlflow(), model, version);
  return {
    traced,
    states: await statesOf(perennial, artifactsOf(traced.lineage)),
    endpoint: await perennial.endpoint(traced.name).catch((error: unknown) => {
      // A model that was never deployed has no endpoint.
      if (error instanceof PerennialError && error.code === 'InputInvalid') return null;
      throw error;
    }),
  };
}

/** Of a snapshot and of those that it stands for or that stand for it. */
async function usesOfDigest(context: Context, given: string): Promise<SnapshotUse[]> {
  const digest = given.replace(/^cas:/, '');
  if (!/^[0-9a-f]{8,64}$/.test(digest))
    throw new PerennialError(
      'InputInvalid',
      '--snapshot: expected the first 8 or more hexadecimal digits of a digest',
    );
  const mlflow = context.mlflow();
  const found = await snapshotUses(mlflow, { digests: [digest] });
  const digests = [...new Set(found.map(({ sha256 }) => sha256))];
  if (digests.length > 1)
    throw new PerennialError(
      'InputInvalid',
      `--snapshot: ${digests.length} snapshots begin with ${digest}: ${digests.map((one) => one.slice(0, 20)).join(', ')}`,
    );
  const whole = digests[0] ?? (digest.length === 64 ? digest : undefined);
  const family = whole === undefined ? [] : await familyOf(context, whole);
  const uses = family.length > 1 ? await snapshotUses(mlflow, { digests: family }) : found;
  if (uses.length > 0) return uses;
  throw new PerennialError(
    'InputInvalid',
    `no run used a snapshot that begins with ${digest}; \`perennial lineage --source NAME\` and \`perennial lineage MODEL\` show their digests`,
  );
}

async function familyOf({ perennial }: Context, sha256: string): Promise<string[]> {
  const state = (await statesOf(perennial, [sha256])).get(sha256);
  const last = state?.inForce ?? sha256;
  const former = (await statesOf(perennial, [last])).get(last)?.formerly ?? [];
  return [...new Set([...former, sha256, last])];
}

async function usesOfSource(context: Context, source: string): Promise<SnapshotUse[]> {
  const mlflow = context.mlflow();
  const uses = await snapshotUses(mlflow, { source });
  if (uses.length === 0) throw await unknownSource(mlflow, source);
  return uses;
}
