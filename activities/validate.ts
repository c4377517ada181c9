import type { DataActivities } from '../contracts/activities.ts';
import type { ColumnComparison } from '../contracts/distribution-report.ts';
import { MEDIA_TYPES, type TableRef } from '../contracts/refs.ts';
import { travellingResults } from '../contracts/reports.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { IngestOutput, ValidateOutput } from '../contracts/stages.ts';
import type { Database } from '../lib/duckdb/database.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { runExpectations, type Validation } from '../lib/expectations/run.ts';
import { withResults } from '../lib/expectations/whole-table.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import { snapshotFiles, snapshotRelation } from '../lib/incremental/snapshots.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { profileTable } from '../lib/profile/profile.ts';
import { validationPage } from '../lib/report/validation-page.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { checkTable } from './table-checks.ts';
import { withDatabase } from './with-database.ts';

type ValidateInput = Parameters<DataActivities['validate']>[0];

/** Checks the expectations, takes out the rows that they drop or quarantine, and writes the report. */
export async function validate(
  deps: Pick<ActivityDependencies, 'store' | 'config'>,
  { spec, ingest, asOf, champion }: Omit<ValidateInput, 'cache'>,
  frame: ActivityFrame,
): Promise<Omit<ValidateOutput, 'cache'>> {
  const scratchDir = await frame.scratch();
  const { table, findings } = ingest;
  const people = new PersonalColumns(spec.privacy);
  const personal = people.among(table.columns, findings);
  const store = (await deps.store()).within(scratchDir, { encrypt: personal.length > 0 });
  const path = await store.path(table.artifact);
  const sources = asksSources(spec) ? await sourceFiles(store, ingest, frame) : {};
  const checked = await runExpectations({
    table: { path },
    rules: spec.expectations,
    sources,
    asOf,
    target: spec.columns.target,
    task: spec.task,
    ...(spec.expectations.some((rule) => rule.expect === 'leakage')
      ? { features: featureColumns(table.columns, spec).map((column) => column.name) }
      : {}),
    personal,
    personalIn: await personalSources(people, spec, ingest, sources, frame),
    outputDir: scratchDir,
    tempDir: `${scratchDir}/spill`,
    memoryLimit: frame.duckdbMemory,
    signal: frame.signal,
  });
  const { results, comparisons } = await checkTable(deps, { spec, table, path, champion, store }, frame);
  const report = withoutForeignRows(withResults(checked.report, spec.expectations, results), spec);
  const page = await withDatabase(frame, (database) =>
    pageOf(database, spec, path, personal, {
      report,
      comparisons: comparisons.map((column) =>
        personal.includes(column.name) ? withoutCategories(column) : column,
      ),
    }),
  );
  return {
    table: await keptTable(store, table, checked),
    rows: report.table.rows,
    results: travellingResults(report.results),
    dropped: report.dropped,
    quarantined: report.quarantined,
    quarantine: await quarantineTable(store, frame, checked),
    // Masked and counted: nothing in them is personal.
    report: await store.putJson(report, { encrypt: false }),
    page: await store.putBytes(page, MEDIA_TYPES.html, { encrypt: false }),
  };
}

/** Whether a rule looks at more than the joined table. */
const asksSources = ({ expectations }: PipelineSpec): boolean =>
  expectations.some(
    (rule) => ('on' in rule && rule.on !== undefined) || 'references' in rule || rule.expect === 'sql',
  );

/** Personal columns of each source that a rule is about: it may have some that the joined table has not. */
async function personalSources(
  people: PersonalColumns,
  { expectations }: PipelineSpec,
  { sources, findings }: IngestOutput,
  paths: Readonly<Record<string, string>>,
  frame: ActivityFrame,
): Promise<Record<string, string[]>> {
  const asked = new Set(expectations.map((rule) => ('on' in rule ? rule.on : undefined)));
  const personal: Record<string, string[]> = {};
  for (const { name } of sources) {
    const path = paths[name];
    if (!asked.has(name) || path === undefined) continue;
    personal[name] = await withDatabase(frame, async (database) => {
      const relation = `read_parquet(${quoteLiteral(path)})`;
      const columns = await database.columns(relation);
      const own = await people.findings(database, relation, columns);
      return people.ofSource(name, columns, [...findings, ...own]);
    });
  }
  return personal;
}

/**
 * Where people can be erased, a report shows rows of the joined table alone: an erasure finds them by their numbers
 * there.
 */
const withoutForeignRows = (report: Validation['report'], { privacy }: PipelineSpec): Validation['report'] =>
  privacy.subject.length === 0
    ? report
    : { ...report, examples: report.examples.filter(({ result }) => report.results[result]?.on === null) };

/** How far a column moved, without the values that its bins and new categories are named after. */
const withoutCategories = (column: ColumnComparison): ColumnComparison => ({
  ...column,
  bins: [],
  newCategories: column.newCategories && { ...column.newCategories, names: [] },
});

/** One Parquet file for each source; the segments of an incremental one are put together. */
async function sourceFiles(
  store: ArtifactStore,
  { sources }: IngestOutput,
  frame: ActivityFrame,
): Promise<Record<string, string>> {
  const scratchDir = await frame.scratch();
  const paths: Record<string, string> = {};
  for (const { name, snapshot } of sources) {
    const files = await snapshotFiles(store, snapshot);
    const [only] = files;
    if (only !== undefined && files.length === 1) {
      paths[name] = only;
      continue;
    }
    const whole = `${scratchDir}/${name}.whole.parquet`;
    await withDatabase(frame, (database) =>
      database.copyToParquet(`SELECT * FROM ${snapshotRelation(files)}`, whole),
    );
    paths[name] = whole;
  }
  return paths;
}

async function pageOf(
  database: Database,
  spec: PipelineSpec,
  path: string,
  personal: readonly string[],
  { report, comparisons }: { report: Validation['report']; comparisons: readonly ColumnComparison[] },
): Promise<string> {
  const profile = await profileTable(database, `read_parquet(${quoteLiteral(path)})`, { personal });
  return validationPage({ name: spec.name, report, comparisons, profile });
}

async function keptTable(
  store: ArtifactStore,
  table: TableRef,
  { kept, report }: Validation,
): Promise<TableRef> {
  if (kept === undefined) return table;
  const artifact = await store.putFile(kept, MEDIA_TYPES.parquet);
  return { artifact, rows: report.kept, columns: table.columns };
}

async function quarantineTable(
  store: ArtifactStore,
  frame: ActivityFrame,
  { quarantine, report }: Validation,
): Promise<TableRef | null> {
  if (quarantine === undefined) return null;
  const columns = await withDatabase(frame, (database) =>
    database.columns(`read_parquet(${quoteLiteral(quarantine)})`),
  );
  const artifact = await store.putFile(quarantine, MEDIA_TYPES.parquet);
  return { artifact, rows: report.quarantined, columns };
}
