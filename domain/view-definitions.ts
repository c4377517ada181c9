import type { ServedModel } from '../contracts/serving.ts';

/** A column of a feature view, by its name in the rows. */
interface DefinedColumn {
  readonly name: string;
  /** See `columnDefinition` in contracts/serving.ts. */
  readonly definition?: string | undefined;
}

/**
 * Columns that both have under the same name, and whose values are not the same. Where one of them does not say what it
 * is, they are taken for the same.
 */
export function redefinedColumns(own: readonly DefinedColumn[], others: readonly DefinedColumn[]): string[] {
  const definitions = new Map(others.map(({ name, definition }) => [name, definition]));
  return own
    .filter(({ name, definition }) => {
      const other = definitions.get(name);
      return definition !== undefined && other !== undefined && other !== definition;
    })
    .map(({ name }) => name);
}

/** The inputs of a model that are looked up. */
export const servedColumns = ({ views = [] }: Pick<ServedModel, 'views'>): DefinedColumn[] =>
  views.flatMap(({ columns }) => columns.map(({ input, definition }) => ({ name: input, definition })));
