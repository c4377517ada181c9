import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { featureColumns } from '../features/feature-columns.ts';
import { Secrets } from '../secrets.ts';
import { columnsOf } from './expectations.ts';
import { oneSelect } from './join.ts';
import { missingColumn, readQuery } from './snapshot.ts';
import { findSourceFiles } from './source-files.ts';

/** What a spec makes of the real data's columns. */
export interface DataCheck {
  sources: { name: string; files: number; columns: number }[];
  /** Columns of the joined table with their type and what they are to the model. */
  columns: { name: string; type: string; role: string }[];
}

/**
 * Checks a spec against the real data without running it: files, SQL, roles, features and expectations. Types are
 * detected from the first rows of each source.
 *
 * @param tempDir folder for what DuckDB spills
 * @throws PerennialError with the first problem
 */
export async function checkAgainstData(
  spec: PipelineSpec,
  roots: readonly string[],
  tempDir: string,
): Promise<DataCheck> {
  const secrets = new Secrets(process.env);
  const open = await Database.create({ tempDir });
  try {
    const sources: DataCheck['sources'] = [];
    const paths: string[] = [];
    const views: string[] = [];
    for (const [name, source] of Object.entries(spec.data.sources)) {
      const readable = { ...source, path: secrets.resolve(source.path) };
      const found = await findSourceFiles(open, name, readable, roots, { digest: false });
      const query = readQuery(source, found, { sampleRows: 20_480 });
      const columns = await open.columns(`(${query})`, 'SourceUnreadable', `source ${name}`);
      sources.push({ name, files: found.files.length, columns: columns.length });
      paths.push(...found.files);
      views.push(`CREATE VIEW ${quoteIdent(name)} AS ${query}`);
    }
    const locked = await Database.create({ tempDir, onlyPaths: paths });
    try {
      for (const view of views) await locked.run(view, 'SourceUnreadable');
      const query =
        spec.data.sql === undefined
          ? `SELECT * FROM ${quoteIdent(sources[0]?.name ?? '')}`
          : await oneSelect(locked, spec.data.sql);
      const columns = await locked.columns(`(${query}\n)`, 'SqlInvalid', 'data.sql');
      const known = columns.map((column) => column.name);
      for (const [index, { where }] of spec.data.rowFilter.entries())
        await oneSelect(locked, `SELECT (${where}\n) FROM (${query}\n)`, `data.rowFilter[${index}].where`);
      for (const [index, rule] of spec.expectations.entries())
        for (const column of columnsOf(rule))
          if (!known.includes(column)) throw missingColumn(`expectations[${index}]`, column, known);
      const features = new Map(featureColumns(columns, spec).map((column) => [column.name, column.kind]));
      const { target, entity, timestamp } = spec.columns;
      const role = (name: string): string => {
        const plain =
          name === target
            ? 'target'
            : entity.includes(name)
              ? 'entity'
              : name === timestamp
                ? 'timestamp'
                : 'ignored';
        const kind = features.get(name);
        return kind ? `${plain === 'ignored' ? '' : `${plain}, `}feature (${kind})` : plain;
      };
      return { sources, columns: columns.map((column) => ({ ...column, role: role(column.name) })) };
    } finally {
      locked.close();
    }
  } catch (error) {
    throw secrets.hide(error);
  } finally {
    open.close();
  }
}
