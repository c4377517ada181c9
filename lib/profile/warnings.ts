import type { ColumnProfile, ProfileWarning, TableProfile } from '../../contracts/profile.ts';

const MOSTLY_MISSING = 0.5;
const HIGH_CARDINALITY = 1_000;
/** Texts of which so many are numbers or moments, but not all, hold two kinds of things. */
const MIXED = { from: 0.02, to: 0.98 };
const CORRELATED = 0.98;

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;

/** What a person should look at before training on a table. */
export function warningsOf(
  profile: Pick<TableProfile, 'rows' | 'duplicates' | 'columns' | 'correlations'>,
): ProfileWarning[] {
  const { rows, duplicates } = profile;
  if (rows === 0) return [{ kind: 'empty', columns: [], message: 'the table has no rows' }];
  const repeated: ProfileWarning[] = duplicates
    ? [
        {
          kind: 'duplicate_rows',
          columns: [],
          message: `${duplicates.toLocaleString('en-US')} rows (${percent(duplicates / rows)}) repeat an earlier row`,
        },
      ]
    : [];
  const correlated = profile.correlations
    .filter(({ value }) => Math.abs(value) >= CORRELATED)
    .map(
      ({ columns, value }): ProfileWarning => ({
        kind: 'correlated',
        columns: [...columns],
        message: `${columns.join(' and ')} say nearly the same (correlation ${value.toFixed(3)})`,
      }),
    );
  return [...repeated, ...profile.columns.flatMap((column) => columnWarnings(column, rows)), ...correlated];
}

function columnWarnings(column: ColumnProfile, rows: number): ProfileWarning[] {
  const { name, values, missing, distinct, kind, looksLike, infinite } = column;
  const warning = (kind: ProfileWarning['kind'], message: string): ProfileWarning => ({
    kind,
    columns: [name],
    message: `${name} ${message}`,
  });
  if (values === 0) return [warning('empty', 'has no values')];
  const found: ProfileWarning[] = [];
  if (column.constant) found.push(warning('constant', 'has the same value in every row'));
  if (missing / rows >= MOSTLY_MISSING)
    found.push(warning('mostly_missing', `is missing in ${percent(missing / rows)} of the rows`));
  const isKey = column.unique && rows > 1 && (kind === 'text' || column.whole);
  if (isKey) found.push(warning('likely_id', 'is different in every row: name it under columns.entity'));
  if (
    kind === 'text' &&
    !isKey &&
    distinct &&
    distinct.count > HIGH_CARDINALITY &&
    distinct.count > values / 10
  )
    found.push(
      warning(
        'high_cardinality',
        `has ${distinct.exact ? '' : 'about '}${distinct.count.toLocaleString('en-US')} different texts`,
      ),
    );
  if (looksLike && looksLike.share >= MIXED.from && looksLike.share < MIXED.to)
    found.push(
      warning('mixed_types', `holds ${looksLike.kind}s (${percent(looksLike.share)}) among other texts`),
    );
  else if (looksLike && looksLike.share >= MIXED.to)
    found.push(
      warning(
        'typed_as_text',
        looksLike.share === 1
          ? `is a text that always reads as a ${looksLike.kind}`
          : `is a text, though ${percent(looksLike.share)} of it reads as a ${looksLike.kind}`,
      ),
    );
  if (infinite > 0)
    found.push(warning('infinite', `has ${infinite.toLocaleString('en-US')} infinite values`));
  return found;
}
