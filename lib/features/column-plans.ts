import type { DatePart } from '../../contracts/spec/features.ts';
import { type Category, fitCategories } from './category-statistics.ts';
import type { ColumnTask } from './column-options.ts';
import { type ColumnPlan, cyclicPart, type FittedCategories, type Vocabulary } from './feature-plan.ts';
import type { NumberStatistics, NumberTask } from './number-statistics.ts';

/** A column's task with the SQL of its value and the places of its numbers in the list of all numbers. */
export interface Fittable {
  task: ColumnTask;
  /** The DuckDB type of a raw column. */
  sqlType: string | undefined;
  sql: string;
  /** `part` is set for dates. */
  numbers: { index: number; part: DatePart | undefined }[];
}

/** What was learned about one column. */
export interface Learned {
  present: number;
  missing: number;
  /** Of all columns; a column knows the places of its own. */
  numbers: readonly NumberStatistics[];
  categories: readonly Category[];
  target: FittedCategories | undefined;
  vocabulary: Vocabulary | undefined;
}

/** The numbers that are to be summarised for a column whose value is the SQL expression `sql`. */
export function numberTasksOf(
  task: ColumnTask,
  sql: string,
): { part: DatePart | undefined; number: NumberTask }[] {
  switch (task.kind) {
    case 'numeric': {
      const { impute, constant = 0, scale, clip, log, bins, binEncoding } = task.options;
      const fill = impute === 'zero' ? 0 : impute === 'constant' ? constant : impute;
      const number: NumberTask = { sql, impute: fill, scale, clip, log };
      return [
        {
          part: undefined,
          number: bins ? { ...number, bins: { count: bins, encoding: binEncoding } } : number,
        },
      ];
    }
    case 'boolean':
      return [
        {
          part: undefined,
          number: { sql, impute: task.options.impute, scale: 'none' },
        },
      ];
    case 'datetime':
      return [...new Set(task.options.parts)].map((part) => ({
        part,
        number: { sql: datePartSql(part, sql), impute: task.options.impute, scale: task.options.scale },
      }));
    case 'categorical':
    case 'text':
      return [];
  }
}

/** A part of epoch seconds in UTC, independent of the session's time zone. */
function datePartSql(part: DatePart, epochSeconds: string): string {
  const moment = `make_timestamp(CAST(floor(${epochSeconds}) AS BIGINT) * 1000000)`;
  switch (part) {
    case 'weekday':
      return `isodow(${moment}) - 1`;
    case 'dayofyear':
      return `dayofyear(${moment})`;
    default:
      return `${part}(${moment})`;
  }
}

/** The plan of one column from what was learned about it. */
export function columnPlan({ task, sqlType, numbers: places }: Fittable, learned: Learned): ColumnPlan {
  const { present, missing } = learned;
  const base = {
    name: task.name,
    missing,
    ...(sqlType === undefined ? {} : { sqlType }),
    ...(task.derived ? { derived: { op: task.derived.op, of: task.derived.of } } : {}),
  };
  const mixed = missing > 0 && present > 0;
  switch (task.kind) {
    case 'categorical': {
      const { options } = task;
      const value =
        options.encoding === 'target'
          ? learned.target
          : fitCategories(
              { options: { ...options, encoding: options.encoding } },
              learned.categories,
              present,
              missing,
            );
      const indicator = mixed && value?.encoding === 'onehot';
      return { kind: task.kind, ...base, indicator, ...(value ? { value } : {}) };
    }
    case 'text': {
      const { vocabulary } = learned;
      return { kind: task.kind, ...base, indicator: false, ...(vocabulary ? { value: vocabulary } : {}) };
    }
    case 'datetime': {
      const known = places.flatMap(({ index, part }) => {
        const value = learned.numbers[index]?.value;
        return part && value ? [{ part, value }] : [];
      });
      const cycles = task.options.cyclic
        ? known.flatMap(({ part }) => cyclicPart.safeParse(part).data ?? [])
        : [];
      const parts = known.filter(({ part }) => !cycles.some((cycle) => cycle === part));
      return { kind: task.kind, ...base, indicator: mixed && task.options.missingIndicator, parts, cycles };
    }
    case 'numeric':
    case 'boolean': {
      const [place] = places;
      const value = place && learned.numbers[place.index]?.value;
      const indicator = mixed && task.options.missingIndicator;
      return { kind: task.kind, ...base, indicator, ...(value ? { value } : {}) };
    }
  }
}

/** What a person should know about one column. */
export function columnNotes(plan: ColumnPlan, task: ColumnTask | undefined): string[] {
  const note = (message: string) => [`Column "${plan.name}": ${message}`];
  const unused = plan.indicator ? 'only whether it is missing is used' : 'it is left out';
  switch (plan.kind) {
    case 'text':
      return plan.value ? [] : note(`no word is in enough training rows: ${unused}.`);
    case 'categorical':
      return plan.value ? [] : note(`its encoding is the same for every training row: ${unused}.`);
    case 'numeric':
    case 'boolean':
      return plan.value
        ? []
        : note(`it says the same in every training row that has a value, or has none: ${unused}.`);
    case 'datetime': {
      const used = new Set<DatePart>([...plan.parts.map(({ part }) => part), ...plan.cycles]);
      if (used.size === 0)
        return note(`its parts are the same in every training row that has a date: ${unused}.`);
      const wanted = task?.kind === 'datetime' ? task.options.parts : [];
      return wanted
        .filter((part) => !used.has(part))
        .flatMap((part) => note(`its ${part} is the same in every training row and is left out.`));
    }
  }
}
