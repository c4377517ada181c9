import type { ModelSignature } from '../../contracts/serving.ts';
import type { ColumnPlan, FeaturePlan } from './feature-plan.ts';

type Example = Record<string, number | string | null>;

/** 2026-01-01, as epoch seconds. */
const SOME_DATE = 1_767_225_600;
const DAY = 86_400;

/** Rows with values; a row with everything missing comes behind them where the model takes one. */
const ROWS = 3;

/**
 * Requests for people to start from, made of statistics of the training rows: the values that features are filled
 * with and somewhat more, the first categories, and at last everything missing. No row of the data stands in a model
 * directory: it goes where the data may not.
 *
 * @example
 * inputExample(signature, plan) // [{ age: 41, job: 'admin' }, { age: 51.4, job: 'student' }, …]
 */
export function inputExample(signature: ModelSignature, plan: Pick<FeaturePlan, 'columns'>): Example[] {
  const columns = new Map(plan.columns.map((column) => [column.name, column]));
  const row = (value: (column: ColumnPlan | undefined, kind: string) => Example[string]): Example =>
    Object.fromEntries(signature.inputs.map(({ name, kind }) => [name, value(columns.get(name), kind)]));
  const rows = Array.from({ length: ROWS }, (_, i) => row((column, kind) => madeUp(column, kind, i)));
  return signature.inputs.every(({ optional }) => optional) ? [...rows, row(() => null)] : rows;
}

function madeUp(column: ColumnPlan | undefined, kind: string, i: number): number | string {
  if (kind === 'datetime') return SOME_DATE + i * DAY;
  const value = column && 'value' in column ? column.value : undefined;
  if (kind === 'text') return 'some text';
  if (kind === 'categorical') {
    const categories = value && 'categories' in value ? value.categories : [];
    return categories[i % Math.max(categories.length, 1)] ?? 'a';
  }
  const { fill, scale } = value && 'fill' in value ? value : { fill: 0, scale: 1 };
  // A mean of truth values is none itself, and servers refuse it.
  if (kind === 'boolean') return (fill ?? 0) >= 0.5 ? 1 : 0;
  return (fill ?? 0) + i * scale;
}
