import { PerennialError } from '../../contracts/errors.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { valueOrNullSql } from '../features/raw-sql.ts';
import { ROW_NUMBER } from '../features/table-job.ts';
import { readBatches } from '../features/table-reader.ts';
import type { InputColumn, OutputColumn, TabularSession } from '../onnx/tabular-session.ts';
import { ANSWERS, AnswerTable, PLACE, PROBLEM } from './answer-table.ts';
import { ERROR_COLUMN, inputColumn, outputColumn } from './plan.ts';
import type { ScoreAnswer, ScoreJob } from './score-job.ts';
import { problemSql, rowProblems } from './validity.ts';

/** A float input that is none of the model's: the number of a row's problem. */
const CHECK = '__perennial_problem';

/**
 * Scores rows and writes them as Parquet, in their order: `row`, `entity`, the inputs where they are wanted, the
 * outputs, why there is no answer, and what is passed through. One batch of rows is in memory at a time.
 *
 * @throws PerennialError `ColumnInvalid` for rows that cannot be scored, where the plan says that they end the batch
 */
export async function scoreRows(
  job: ScoreJob,
  session: TabularSession,
  progress: (rows: number) => void,
): Promise<ScoreAnswer> {
  const { plan, rows, parquetPath, batchRows } = job;
  const { inputs } = plan.model.signature;
  const types = new Map(plan.columns.map(({ name, type }) => [name, type]));
  const problems = rowProblems(plan.model.signature, types);
  const words = [
    ...problems,
    ...plan.model.signature.outputs.map(({ name }) => ({
      words: `the model's output "${name}" is no number`,
    })),
  ].map((problem) => problem.words);
  const database = await Database.create({
    tempDir: job.spillDir,
    memoryLimit: job.memoryLimit,
    threads: 2,
  });
  try {
    const answers = new AnswerTable(database);
    let invalid = 0;
    for await (const batch of readBatches({
      parquetPath,
      batchRows,
      columns: inputs.map(({ name, kind }) => ({ name, kind })),
      strict: false,
      range: rows,
      ...(problems.length > 0 ? { computed: { name: CHECK, sql: problemSql(problems) } } : {}),
    })) {
      const columns = new Map<string, InputColumn>();
      for (const { name } of inputs) {
        const data = batch.feeds[name]?.data;
        if (isColumn(data)) columns.set(name, data);
      }
      const { columns: outputs } = await session.run({ rows: batch.rows, columns });
      const found = Int32Array.from(flagsOf(batch.feeds[CHECK]?.data, batch.rows));
      markNonFinite(found, outputs, problems.length);
      const wrong = found.reduce((sum, code) => sum + (code > 0 ? 1 : 0), 0);
      if (wrong > 0 && plan.invalid === 'fail')
        throw refusal(found, wrong, job.offset + rows.from + answers.rows, words);
      invalid += wrong;
      await answers.append(found, outputs);
      progress(answers.rows);
    }
    await answers.close(plan.model.signature.outputs);
    const wanted = rows.before - rows.from;
    if (answers.rows !== wanted)
      throw new PerennialError('StageFailed', `Of ${wanted} rows ${answers.rows} were read.`, true);
    await write(database, job, answers, words);
    return { rows: wanted, invalid };
  } finally {
    database.close();
  }
}

type FeedData = Parameters<typeof isColumn>[0];

const isColumn = (data: unknown): data is InputColumn =>
  data instanceof Float32Array || data instanceof Float64Array || Array.isArray(data);

const flagsOf = (data: FeedData, rows: number): Float32Array =>
  data instanceof Float32Array ? data : new Float32Array(rows);

/** A row whose answer is no number has none. */
function markNonFinite(found: Int32Array, outputs: readonly OutputColumn[], inputProblems: number): void {
  for (const [at, output] of outputs.entries()) {
    if (output.kind !== 'float') continue;
    const { data } = output;
    for (let row = 0; row < found.length; row++)
      if (found[row] === 0 && !Number.isFinite(data[row])) found[row] = inputProblems + at + 1;
  }
}

function refusal(found: Int32Array, wrong: number, from: number, words: readonly string[]): PerennialError {
  const first = found.findIndex((code) => code > 0);
  const others = wrong > 1 ? ` (and ${wrong - 1} more among the ${found.length} rows from ${from} on)` : '';
  return new PerennialError(
    'ColumnInvalid',
    `row ${from + first}, counted from 0${others}: ${words[(found[first] ?? 1) - 1] ?? ''}; convert or leave such rows out in sql, or set invalid: quarantine to have them written without answers`,
  );
}

async function write(
  database: Database,
  { plan, rows, offset, parquetPath, outPath }: ScoreJob,
  answers: AnswerTable,
  words: readonly string[],
): Promise<void> {
  const { inputs, outputs } = plan.model.signature;
  const types = new Map(plan.columns.map(({ name, type }) => [name, type]));
  const source = (name: string): string => `s.${quoteIdent(name)}`;
  const select = [
    `CAST(${offset + rows.from} + a.${PLACE} AS BIGINT) AS row`,
    `${plan.entity === null ? 'NULL::VARCHAR' : `CAST(${source(plan.entity)} AS VARCHAR)`} AS entity`,
    ...(plan.features
      ? inputs.map(({ name, kind }) => {
          const type = types.get(name);
          const value = type === undefined ? 'NULL' : valueOrNullSql({ name, kind }, type);
          return `${value} AS ${quoteIdent(inputColumn(name))}`;
        })
      : []),
    ...outputs.map(
      ({ name }, at) =>
        `CASE WHEN a.${PROBLEM} = 0 THEN ${answers.valueSql(at)} END AS ${quoteIdent(outputColumn(name))}`,
    ),
    `${errorSql(words)} AS ${ERROR_COLUMN}`,
    ...plan.passThrough.map(({ column, as }) => `${source(column)} AS ${quoteIdent(as)}`),
  ];
  await database.copyToParquet(
    `SELECT ${select.join(',\n')}
     FROM (SELECT *, ${ROW_NUMBER} FROM read_parquet(${quoteLiteral(parquetPath)})
       WHERE ${ROW_NUMBER} >= ${rows.from} AND ${ROW_NUMBER} < ${rows.before}) s
     JOIN ${ANSWERS} a ON s.${ROW_NUMBER} = ${rows.from} + a.${PLACE}
     ORDER BY a.${PLACE}`,
    outPath,
    'StageFailed',
    'the answers',
  );
}

/** Words are those of the model's inputs; a batch without a problem needs none of them. */
const errorSql = (words: readonly string[]): string =>
  words.length === 0
    ? 'NULL::VARCHAR'
    : `CASE WHEN a.${PROBLEM} > 0 THEN ([${words.map(quoteLiteral).join(', ')}]::VARCHAR[])[a.${PROBLEM}] END`;
