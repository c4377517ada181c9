import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';

/** The error for a column that is not there, with the nearest right word. */
export function missingColumn(where: string, column: string, known: readonly string[]): PerennialError {
  const hint = nearest(column, known);
  return new PerennialError(
    'ColumnMissing',
    `${where}: there is no column ${column}${hint ? `; did you mean ${hint}?` : '.'} The columns are ${known.slice(0, 40).join(', ')}${known.length > 40 ? ', …' : ''}`,
  );
}
