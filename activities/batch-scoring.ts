import { type BatchActivities, chunkManifest, scoredChunk } from '../contracts/batch-scoring.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import { gapIn } from '../domain/batch-chunks.ts';
import { checkOutput, writeOutput } from '../lib/scoring/destination/write-output.ts';
import { answersQuery } from '../lib/scoring/destination/written-table.ts';
import { type ScoringPlan, scoringPlan } from '../lib/scoring/plan.ts';
import { chunkIdentity, scoreChunk } from '../lib/scoring/score-chunk.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { closeBatch, openBatch } from './batch-model.ts';
import { recordAnswers, takeBatch } from './batch-rows.ts';
import { cachedStage } from './cached.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { withDatabase } from './with-database.ts';

type Input<K extends keyof BatchActivities> = Parameters<BatchActivities[K]>[0];
type Output<K extends keyof BatchActivities> = Awaited<ReturnType<BatchActivities[K]>>;

/** Activities of batch scoring. */
export function batchActivities(deps: ActivityDependencies): BatchActivities {
  const { config } = deps;
  return {
    openBatch: framed(config, async (input, frame) => {
      const { output } = input.request;
      const { batchId } = input;
      const { signal } = frame;
      await withDatabase(frame, (database, scratchDir) =>
        checkOutput(database, { config, output, batchId, scratchDir, signal }),
      );
      return openBatch(deps, input);
    }),
    takeBatch: framed(config, (input, frame) => takeBatch(deps, input, frame)),
    scoreChunk: framed(config, (input, frame) => chunk(deps, input, frame)),
    gatherChunks: framed(config, async ({ chunks }) => ({
      manifest: await (await deps.store()).putJson({ schemaVersion: 1, chunks }),
    })),
    writeBatch: framed(config, (input, frame) => write(deps, input, frame)),
    closeBatch: framed(config, (input) => closeBatch(deps, input)),
  };
}

/** Answers that an earlier batch gave for the same rows of the same table are taken over. */
async function chunk(
  deps: ActivityDependencies,
  { plan: ref, rows }: Input<'scoreChunk'>,
  frame: ActivityFrame,
): Promise<Output<'scoreChunk'>> {
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const plan = await planOf(store, ref);
  const { output } = await cachedStage(
    deps,
    {
      stage: 'score',
      codeVersion: 1,
      pipeline: plan.modelName,
      input: chunkIdentity(plan, rows),
      policy: { mode: plan.cache },
      output: scoredChunk,
    },
    async () => ({
      rows,
      ...(await scoreChunk(plan, rows, {
        store,
        scratchDir,
        memoryLimit: frame.duckdbMemory,
        signal: frame.signal,
        onRows: (done) => frame.report({ rows: done, of: rows.before - rows.from }),
      })),
    }),
  );
  await recordAnswers(store, plan, output.artifact, rows);
  return output;
}

/** All chunks under one name, once: what is there afterwards is all of it or nothing. */
async function write(
  deps: ActivityDependencies,
  { request, batchId, at, taken, manifests }: Input<'writeBatch'>,
  frame: ActivityFrame,
): Promise<Output<'writeBatch'>> {
  return withDatabase(frame, async (database, scratchDir) => {
    const store = (await deps.store()).within(scratchDir);
    const plan = await planOf(store, taken.plan);
    const chunks = [];
    for (const manifest of manifests) chunks.push(...chunkManifest.parse(await store.json(manifest)).chunks);
    const gap = gapIn(
      chunks.map(({ rows }) => rows),
      taken.rows,
    );
    if (gap !== undefined) throw new PerennialError('StageFailed', `the batch is not whole: ${gap}`);
    const files: string[] = [];
    for (const { artifact } of chunks) {
      files.push(await store.path(artifact));
      frame.report({ chunks: files.length, of: chunks.length });
    }
    return writeOutput(
      database,
      {
        query: (since) => answersQuery(files, plan, { batchId, at: since }),
        at,
        rows: taken.rows,
        chunks: chunks.map(({ artifact }) => artifact.sha256),
      },
      { config: deps.config, output: request.output, batchId, scratchDir, signal: frame.signal },
    );
  });
}

const planOf = async (store: ArtifactStore, ref: ArtifactRef): Promise<ScoringPlan> =>
  scoringPlan.parse(await store.json(ref));
