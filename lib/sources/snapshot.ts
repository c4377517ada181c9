import { rm } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { WithoutSuppressed } from '../erasure/suppressed-rows.ts';
import type { PersonalColumns } from '../privacy/personal-columns.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { checkHeader } from './header.ts';
import type { AcquiredSource } from './source.ts';
import { readTyped } from './typed-reading.ts';

/**
 * Turns an acquired source into an immutable Parquet snapshot in the store. The same content and options give the
 * same digest.
 *
 * @param scratch path for the file before it is stored; it is gone afterwards
 * @param without leaves out people who were erased
 * @param personal looks for personal columns, whose tables are encrypted at rest; left out, nothing is looked for
 * @throws PerennialError `SourceUnreadable` also where there are no rows, `ColumnMissing`, `ColumnInvalid` where there are too many
 */
export async function snapshotSource(
  database: Database,
  name: string,
  source: Source,
  acquired: AcquiredSource,
  store: ArtifactStore,
  scratch: string,
  personal?: PersonalColumns,
  without?: (relation: string) => Promise<WithoutSuppressed>,
): Promise<TableRef & { suppressed?: number }> {
  try {
    await checkHeader(database, name, source, acquired);
    const finished = acquired.finished ? acquired.files[0] : undefined;
    const whole = finished ?? scratch;
    const allRows =
      finished === undefined
        ? await readTyped(database, name, source, acquired, (query) =>
            database.copyToParquet(query, scratch, 'SourceUnreadable', `source ${name}`),
          )
        : Number((await database.row(`SELECT count(*) AS n FROM read_parquet(${quoteLiteral(whole)})`)).n);
    await acquired.verify?.();
    if (allRows === 0)
      throw new PerennialError(
        'SourceUnreadable',
        `source ${name}: there are no rows in ${acquired.origin}${acquired.format === 'csv' ? ', only a header' : ''}`,
      );
    const { suppressed, path = whole } = (await without?.(`read_parquet(${quoteLiteral(whole)})`)) ?? {
      suppressed: 0,
    };
    const relation = `read_parquet(${quoteLiteral(path)})`;
    const stored = await database.columns(relation);
    const findings = (await personal?.findings(database, relation, stored)) ?? [];
    const encrypt = (personal?.ofSource(name, stored, findings).length ?? 0) > 0;
    return {
      artifact: await store.putFile(path, MEDIA_TYPES.parquet, { encrypt }),
      rows: allRows - suppressed,
      columns: stored,
      ...(suppressed > 0 ? { suppressed } : {}),
    };
  } finally {
    await rm(scratch, { force: true });
  }
}
