import { type BatchActivities, takenBatch } from '../contracts/batch-scoring.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { RowRange, TableRef } from '../contracts/refs.ts';
import { requestSignature, servedModel } from '../contracts/serving.ts';
import { privacySpec } from '../contracts/spec/privacy.ts';
import { nextChunks } from '../domain/batch-chunks.ts';
import { joinSources } from '../lib/data/join.ts';
import { RowCatalogue } from '../lib/erasure/row-catalogue.ts';
import { type SubjectSpec, subjectColumns } from '../lib/erasure/subject-column.ts';
import { withoutSuppressed } from '../lib/erasure/suppressed-rows.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { plannedColumns, type ScoringPlan } from '../lib/scoring/plan.ts';
import { storeSlices } from '../lib/scoring/slices.ts';
import { sourceOptions } from '../lib/sources/options.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { BatchViews } from './batch-views.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { eventReader, runOfActivity, takeSource } from './source-snapshot.ts';
import { withDatabase } from './with-database.ts';

type Input = Parameters<BatchActivities['takeBatch']>[0];
type Output = Awaited<ReturnType<BatchActivities['takeBatch']>>;

/** The name of the rows in SQL and in messages. */
const SOURCE = 'source';
/** Names that a result carries. */
const MOST_NAMES = 50;

/** Who a row is about, in the words of a pipeline's spec: a batch belongs to its model. */
const subjectSpec = ({ model, subject, personal }: Input['request']): SubjectSpec => ({
  name: model,
  privacy: privacySpec.parse({
    subject,
    columns: Object.fromEntries([...personal, ...subject].map((name) => [name, 'keep'])),
  }),
});

/** Snapshots the rows of a batch, joins the feature views that they do not bring, and plans how their chunks are scored. */
export async function takeBatch(
  deps: ActivityDependencies,
  { request, model, version, at }: Input,
  frame: ActivityFrame,
): Promise<Output> {
  const spec = subjectSpec(request);
  const personal = new PersonalColumns(spec.privacy);
  return withDatabase(frame, async (database, scratchDir) => {
    const store = (await deps.store()).within(scratchDir);
    const { views = [], ...served } = servedModel.parse(await store.json(model));
    const signature = requestSignature({ ...served, views });
    const features = new BatchViews(deps, { model: request.model, version, views, at }, frame);
    const source = await takeSource(
      {
        database,
        store,
        personal,
        options: {
          ...sourceOptions(deps.config, scratchDir, frame.signal),
          events: eventReader(deps, { database, store }),
        },
        without: (name, relation, target) => withoutSuppressed(store, database, spec, name, relation, target),
      },
      request.model,
      runOfActivity(),
      SOURCE,
      request.source,
    );
    frame.report({ rows: source.snapshot.rows });
    await recorded(store, spec, source.snapshot, true);
    const { table } = await joinSources(
      {
        sources: { [SOURCE]: request.source },
        ...(request.sql === undefined ? {} : { sql: request.sql }),
        rowFilter: [],
      },
      [{ name: SOURCE, snapshot: source.snapshot }],
      {
        ...{ store, scratchDir, personal, signal: frame.signal, memoryLimit: frame.duckdbMemory },
        ...(views.length > 0 ? { extend: (rows) => features.extend(rows) } : {}),
      },
    ).catch(inOwnWords);
    if (table.artifact.sha256 !== source.snapshot.artifact.sha256) await recorded(store, spec, table, false);
    const { missingInputs, ...columns } = plannedColumns(table.columns, signature, {
      ...request,
      joined: features.joined,
    });
    const encrypt = await store.isEncrypted(table.artifact);
    const chunks = nextChunks({ ...request, rows: table.rows, next: 0, most: Number.POSITIVE_INFINITY });
    const plan: ScoringPlan = {
      schemaVersion: 1,
      table: table.artifact,
      slices:
        encrypt && chunks.length > 1
          ? await storeSlices(
              database,
              store,
              { path: await store.path(table.artifact), scratch: `${scratchDir}/slice.parquet` },
              chunks,
              (slices) => frame.report({ rows: table.rows, slices }),
            )
          : [],
      columns: table.columns,
      model: { ...served, signature, version },
      ...columns,
      features: request.features,
      invalid: request.invalid,
      cache: request.cache,
      encrypt,
      subject: request.subject,
      modelName: request.model,
    };
    for (const { rows, artifact } of plan.slices)
      await recordedAs(store, spec, 'batch', artifact, table.artifact.sha256, rows);
    return takenBatch.parse({
      plan: await store.putJson(plan),
      table: table.artifact,
      rows: table.rows,
      source: { kind: source.kind, origin: source.origin, sha256: source.sourceSha256 },
      suppressed: source.suppressed ?? 0,
      missingInputs: missingInputs.slice(0, MOST_NAMES),
      ...(features.told ? { features: features.told } : {}),
    });
  });
}

/** Writes down whose rows a chunk's answers are, so that an erasure finds them. */
export const recordAnswers = (
  store: ArtifactStore,
  plan: Pick<ScoringPlan, 'modelName' | 'subject' | 'table'>,
  artifact: TableRef['artifact'],
  rows: RowRange,
): Promise<void> =>
  recordedAs(
    store,
    { name: plan.modelName, privacy: privacySpec.parse({ subject: plan.subject }) },
    'answers',
    artifact,
    plan.table.sha256,
    rows,
  );

const recordedAs = (
  store: ArtifactStore,
  spec: SubjectSpec,
  kind: string,
  artifact: TableRef['artifact'],
  sha256: string,
  rows: RowRange,
): Promise<void> =>
  new RowCatalogue(store.documents).record(spec, { artifact, kind, rowsOf: { sha256, ranges: [rows] } });

async function recorded(
  store: ArtifactStore,
  spec: SubjectSpec,
  { artifact, columns }: Pick<TableRef, 'artifact' | 'columns'>,
  isSource: boolean,
): Promise<void> {
  if (spec.privacy.subject.length === 0) return;
  const names = columns.map(({ name }) => name);
  const subject = subjectColumns(spec, names, { state: 'raw', ...(isSource ? { source: SOURCE } : {}) });
  await new RowCatalogue(store.documents).record(spec, { artifact, kind: 'batch', subject });
}

/** The same words stand in a pipeline's spec at another place. */
function inOwnWords(error: unknown): never {
  if (!(error instanceof PerennialError)) throw error;
  const words = error.message.replaceAll('data.sql with data.rowFilter', 'sql').replaceAll('data.sql', 'sql');
  throw new PerennialError(error.code, words, error.retryable, { cause: error });
}
