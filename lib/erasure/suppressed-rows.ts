import type { Database } from '../duckdb/database.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { type SubjectSpec, subjectColumns } from './subject-column.ts';
import { Suppressions } from './suppressions.ts';

/** A relation without the people who were erased. */
export interface WithoutSuppressed {
  /** Rows that were left out. */
  suppressed: number;
  /** The Parquet file with the others, where any was left out. */
  path?: string;
}

/**
 * Leaves out of a source the rows of people who were erased and must not come back. Costs nothing where nobody was.
 *
 * @param source its name in the spec
 * @param relation an SQL relation in the order that is to stay
 * @param target a path for a Parquet file; it is written only where rows are left out
 * @example
 * const { suppressed, path } = await withoutSuppressed(store, database, spec, 'orders', relation, `${scratch}/kept.parquet`);
 */
export async function withoutSuppressed(
  store: Pick<ArtifactStore, 'documents' | 'keyring'>,
  database: Database,
  spec: SubjectSpec,
  source: string,
  relation: string,
  target: string,
): Promise<WithoutSuppressed> {
  if (spec.privacy.subject.length === 0) return { suppressed: 0 };
  const columns = await database.columns(relation, 'SourceUnreadable', `source ${source}`);
  const names = columns.map(({ name }) => name);
  const subject = subjectColumns(spec, names, { state: 'raw', source });
  const table = { pipeline: spec.name, columns, subject };
  return new Suppressions(store).whileKnown(database, table, async (out) => {
    if (out === undefined) return { suppressed: 0 };
    const { n } = await database.row(
      `SELECT count(*) AS n FROM ${relation} WHERE ${out}`,
      'SourceUnreadable',
      `source ${source}`,
    );
    if (Number(n) === 0) return { suppressed: 0 };
    await database.copyToParquet(
      `SELECT * FROM ${relation} WHERE NOT ${out}`,
      target,
      'SourceUnreadable',
      `source ${source}`,
    );
    return { suppressed: Number(n), path: target };
  });
}
