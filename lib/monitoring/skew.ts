import { join } from 'node:path';
import type { WindowReport } from '../../contracts/monitoring.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { scoredAside } from '../scoring/score-aside.ts';
import { loggedInput } from './logged-inputs.ts';
import { ANSWERED } from './prediction-windows.ts';

/** A number may differ by so much of itself: the log keeps 32 bits of it. */
const TOLERANCE = 1e-5;

/** What is compared. */
export interface SkewQuestion {
  model: ServedModel;
  modelPath: string;
  /** Rows at the most, evenly drawn. */
  rows: number;
  /** A folder that the database may write to. */
  scratchDir: string;
  memoryLimit?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Files that {@link servingSkew} writes and reads below its folder. */
export const skewFiles = (scratchDir: string): { asked: string; answered: string } => ({
  asked: join(scratchDir, 'skew-asked.parquet'),
  answered: join(scratchDir, 'skew-answered.parquet'),
});

/**
 * Asks the model's file again what the log says that its server was asked, and compares the answers: a server that
 * reads, prepares or rounds its inputs otherwise, or that serves something else, shows.
 *
 * @param database with the view `predictions` of a log; it may use {@link skewFiles}
 * @returns `null` where the log has no inputs of this version
 */
export async function servingSkew(
  database: Database,
  { model, modelPath, rows, scratchDir, memoryLimit, signal }: SkewQuestion,
): Promise<WindowReport['skew']> {
  const types = new Map((await database.columns('predictions')).map(({ name, type }) => [name, type]));
  const { inputs, outputs } = model.signature;
  if (!inputs.every(({ name }) => types.has(`input_${name}`))) return null;
  if (!outputs.every(({ name }) => types.has(`output_${name}`))) return null;
  const { asked, answered } = skewFiles(scratchDir);
  const logged = outputs.map(({ name }, i) => ({ column: `__served_${i}`, name }));
  const select = [
    ...inputs.map((input) => `${loggedInput(input)} AS ${quoteIdent(input.name)}`),
    ...logged.map(({ column, name }) => `${quoteIdent(`output_${name}`)} AS ${column}`),
  ];
  const found = await database.copyToParquet(
    `SELECT ${select.join(', ')} FROM predictions
     WHERE ${ANSWERED} AND version = ${quoteLiteral(model.version)} AND digest = ${quoteLiteral(model.onnx.sha256)}
     ORDER BY hash(request_id, time, row) LIMIT ${Math.floor(rows)}`,
    asked,
  );
  if (found === 0) return null;
  const columns = await database.columns(`read_parquet(${quoteLiteral(asked)})`);
  await scoredAside(
    {
      plan: {
        schemaVersion: 1,
        columns,
        model,
        passThrough: logged.map(({ column }) => ({ column, as: column })),
        entity: null,
        features: false,
        invalid: 'quarantine',
      },
      parquetPath: asked,
      rows: { from: 0, before: found },
      offset: 0,
      modelPath,
      outPath: answered,
      spillDir: join(scratchDir, 'skew-spill'),
      memoryLimit,
    },
    signal,
  );
  const differences = outputs.map(({ name, kind }, i) => {
    const [now, then] = [quoteIdent(`output_${name}`), quoteIdent(`__served_${i}`)];
    return kind === 'float'
      ? {
          differs: `NOT coalesce(abs(${now} - ${then}) <= ${TOLERANCE} * greatest(1, abs(${then})), ${now} IS NULL AND ${then} IS NULL)`,
          by: `abs(${now} - ${then})`,
        }
      : { differs: `${now} IS DISTINCT FROM ${then}`, by: 'NULL' };
  });
  const row = await database.row(
    `SELECT count(*) AS n, count(*) FILTER (${differences.map(({ differs }) => differs).join(' OR ') || 'false'}) AS differing,
       coalesce(max(greatest(${differences.map(({ by }) => `coalesce(${by}, 0)`).join(', ') || '0'})), 0)::DOUBLE AS largest
     FROM read_parquet(${quoteLiteral(answered)})`,
  );
  return { rows: Number(row.n), differing: Number(row.differing), largest: Number(row.largest) };
}
