import type { ModelSignature } from '../../contracts/serving.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { SliceSpec } from '../../contracts/spec/slices.ts';
import { sliceMetrics } from '../../domain/evaluation-needs.ts';
import { Database } from '../duckdb/database.ts';
import { type CheckedTable, openTable } from '../expectations/table.ts';
import { featureKindOf } from '../features/kinds.ts';
import { columnCodes } from './column-codes.ts';
import { checkConditions, declaredSlices } from './declared-slices.ts';
import type { JudgeQuestion } from './judge-job.ts';
import type { PartsQuestion } from './parts.ts';

/** Groups of a fairness column. */
const MOST_GROUPS = 200;

/** The search looks at so many rows, columns, values of a column and bins of a number at the most. */
const MOST_SEARCHED_ROWS = 200_000;
const MOST_SEARCHED_COLUMNS = 200;
const MOST_SEARCHED_VALUES = 30;
const SEARCH_BINS = 6;

/** What parts of the test rows are made from. */
export interface TestTable {
  spec: Pick<PipelineSpec, 'evaluation' | 'training'>;
  signature: ModelSignature;
  /** The test part. */
  parquetPath: string;
  /** Folder for what does not fit into memory. */
  scratchDir: string;
  memoryLimit: string | undefined;
  signal: AbortSignal;
}

/**
 * What is asked about slices and groups of the test rows; `undefined` where the spec asks nothing. Conditions are
 * people's SQL, so that all is read in a database that can read the test part and nothing else.
 *
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SqlInvalid`
 */
export async function partsQuestion(
  table: TestTable,
  judged: Pick<JudgeQuestion, 'problem' | 'labels' | 'answers' | 'threshold'>,
): Promise<PartsQuestion | undefined> {
  const { spec } = table;
  const { slices, fairness, worstSlices, confidence, resamples } = spec.evaluation;
  const searched = worstSlices !== false && judged.labels.length >= 2 * worstSlices.minRows;
  if (slices.length === 0 && !fairness && !searched) return undefined;
  return readingTest(table, async (database, checked) => ({
    ...judged,
    slices: await declaredSlices(database, checked, slices),
    metrics: sliceMetrics(spec.evaluation),
    fairness: fairness
      ? {
          minRows: fairness.minRows,
          columns: await columnCodes(
            database,
            checked,
            fairness.columns.map((name) => ({ name, where: 'evaluation.fairness.columns' })),
            { ...fairness, most: MOST_GROUPS, beyond: 'refused', rows: { from: 0, step: 1 } },
          ),
        }
      : null,
    search: searched && worstSlices ? await searchOf(database, checked, table, judged.labels.length) : null,
    bootstrap: { confidence, resamples, seed: spec.training.seed },
  }));
}

/**
 * Tries the conditions of the declared slices on the test rows, long before a model is judged there.
 *
 * @throws PerennialError `SqlInvalid`
 */
export async function checkSliceConditions(
  table: Omit<TestTable, 'spec' | 'signature'>,
  slices: readonly SliceSpec[],
): Promise<void> {
  await readingTest(table, (database, checked) => checkConditions(database, checked, slices));
}

async function readingTest<T>(
  { parquetPath, scratchDir, memoryLimit, signal }: Omit<TestTable, 'spec' | 'signature'>,
  read: (database: Database, checked: CheckedTable) => Promise<T>,
): Promise<T> {
  const spill = `${scratchDir}/parts-spill`;
  const database = await Database.create({
    tempDir: spill,
    memoryLimit,
    onlyPaths: [parquetPath, spill],
    signal,
  });
  try {
    return await read(database, await openTable(database, null, { path: parquetPath }));
  } finally {
    database.close();
  }
}

/** The columns in which bad slices are looked for: inputs of the model that have values or bins. */
async function searchOf(
  database: Database,
  checked: CheckedTable,
  { spec, signature }: TestTable,
  rows: number,
): Promise<PartsQuestion['search']> {
  const options = spec.evaluation.worstSlices;
  if (options === false) return null;
  const inputs = signature.inputs
    .filter(({ name, kind }) => {
      const type = checked.columns.find((column) => column.name === name)?.type;
      return kind !== 'text' && type !== undefined && featureKindOf(type) !== undefined;
    })
    .slice(0, MOST_SEARCHED_COLUMNS);
  const step = Math.max(1, Math.ceil(rows / MOST_SEARCHED_ROWS));
  const from = spec.training.seed % step;
  const columns = await columnCodes(
    database,
    checked,
    inputs.map(({ name, kind }) => ({ name, kind, where: 'evaluation.worstSlices' })),
    {
      bins: SEARCH_BINS,
      minRows: options.minRows,
      most: MOST_SEARCHED_VALUES,
      beyond: 'unnamed',
      rows: { from, step },
    },
  );
  return { columns, options, from, step };
}
