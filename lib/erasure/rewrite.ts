import { readFile, writeFile } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { sampleSet } from '../../contracts/samples.ts';
import { validationReport } from '../../contracts/validation-report.ts';
import type { Database } from '../duckdb/database.ts';
import { withoutParquetRows } from '../duckdb/parquet-rows.ts';
import { withoutNpyRows } from '../npy-rows.ts';
import type { RowFormat } from './row-catalogue.ts';

/** A file without some of its rows. */
interface Rewriting {
  database: Database;
  source: string;
  /** Must not exist. */
  target: string;
  /** Rows counted from 0, ascending. */
  gone: readonly number[];
}

const NEW_FILE = { flag: 'wx', mode: 0o600 } as const;

/** What stands in place of a page that showed a row of somebody who was erased. */
const PAGE = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Erased</title>
<p>This page showed a row of a person who was erased. The report as JSON beside it has everything else.</p>
</html>
`;

/**
 * Writes a file anew without some of its rows. The others stay as they are and in their order; the same input gives the
 * same bytes. Where all rows go, an empty table of the same columns is left.
 *
 * @throws PerennialError `ArtifactCorrupt` where the file is not of the format
 */
export async function rewriteWithout(format: RowFormat, rewriting: Rewriting): Promise<void> {
  const { source, target, gone } = rewriting;
  switch (format) {
    case 'parquet':
      return withoutParquetRows(rewriting.database, source, target, gone);
    case 'npy':
      return withoutNpyRows(source, target, gone);
    case 'samples':
      return writeFile(target, JSON.stringify(withoutSamples(await json(source), new Set(gone))), NEW_FILE);
    case 'report':
      return writeFile(target, JSON.stringify(withoutExamples(await json(source), new Set(gone))), NEW_FILE);
    case 'page':
      return writeFile(target, PAGE, NEW_FILE);
  }
}

function withoutSamples(value: unknown, gone: ReadonlySet<number>): unknown {
  const samples = sampleSet.parse(value);
  const stays = (_: unknown, i: number): boolean => !gone.has(i);
  return {
    rows: samples.rows.filter(stays),
    expected: Object.fromEntries(
      Object.entries(samples.expected).map(([output, values]) => [output, values.filter(stays)]),
    ),
  };
}

function withoutExamples(value: unknown, gone: ReadonlySet<number>): unknown {
  const report = validationReport.parse(value);
  let at = 0;
  return {
    ...report,
    examples: report.examples.map((rule) => ({ ...rule, rows: rule.rows.filter(() => !gone.has(at++)) })),
  };
}

/**
 * The rows of the checked table that the examples of a validation report show, counted from 0: what
 * `RowCatalogue.record` takes as `rowsOf.rows` of the report and of its page.
 */
export const exampleRows = (report: {
  examples: readonly { rows: readonly { row: number }[] }[];
}): number[] => report.examples.flatMap(({ rows }) => rows.map(({ row }) => row - 1));

async function json(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new PerennialError('ArtifactCorrupt', 'an artifact that should be JSON is none', false, { cause });
  }
}
