/**
 * The feature matrix worked out a second time, in plain JavaScript from the rules in the documentation, without SQL
 * and without ONNX: what the engine is held against.
 */
import type { CategoricalOptions, DatetimeOptions, NumericOptions } from '../../contracts/spec/features.ts';

/** Numbers, text, booleans, dates as epoch seconds; null = missing. */
export type Cell = number | string | boolean | null;

export type ReferenceColumn = { name: string; training: Cell[]; scoring: Cell[] } & (
  | { kind: 'numeric'; options: NumericOptions }
  | { kind: 'boolean'; options: Record<string, never> }
  | { kind: 'categorical'; options: CategoricalOptions }
  | { kind: 'datetime'; options: DatetimeOptions }
);

/** Values of one matrix column for the scoring rows. */
export interface ReferenceFeature {
  name: string;
  values: number[];
}

const WORDS = ['', 'None', 'nan', 'NaN', '<NA>'];

export function referenceMatrix(columns: readonly ReferenceColumn[]): ReferenceFeature[] {
  return columns.flatMap(featuresOf);
}

function featuresOf({ training, scoring, ...column }: ReferenceColumn): ReferenceFeature[] {
  switch (column.kind) {
    case 'numeric':
      return numeric(column.name, training.map(number), scoring.map(number), column.options, true);
    case 'boolean':
      return flags(column.name, training.map(flag), scoring.map(flag));
    case 'datetime':
      return dates(column.name, training.map(date), scoring.map(date), column.options);
    case 'categorical':
      return categories(column.name, training.map(text), scoring.map(text), column.options);
  }
}

const number = (cell: Cell) =>
  typeof cell === 'number' && Number.isFinite(Math.fround(cell)) ? Math.fround(cell) : null;
const flag = (cell: Cell) => (cell === null ? null : Number(cell));
const date = (cell: Cell) => (typeof cell === 'number' && inYears(cell) ? cell : null);
const text = (cell: Cell) => (typeof cell === 'string' && !WORDS.includes(cell) ? cell : null);

function inYears(seconds: number): boolean {
  const year = new Date(Math.floor(seconds) * 1000).getUTCFullYear();
  return year >= 1 && year <= 9999;
}

type Optional = number | null;
const isThere = <T>(value: T | null): value is T => value !== null;

function numeric(
  name: string,
  training: Optional[],
  scoring: Optional[],
  options: NumericOptions,
  indicate: boolean,
): ReferenceFeature[] {
  const present = training.filter(isThere).sort((a, b) => a - b);
  const features: ReferenceFeature[] = [];
  if (present.length > 0) {
    const statistics = {
      median: quantile(present, 0.5),
      mean: mean(present),
      zero: 0,
      constant: options.constant ?? 0,
      // A model that never saw a missing value gets the mean.
      none: present.length < training.length ? Number.NaN : mean(present),
    };
    const fill = Math.fround(statistics[options.impute]);
    const [low, high] = options.clip ? options.clip.map((q) => quantile(present, q)) : [-Infinity, Infinity];
    const clip = (x: number) => Math.max(Math.fround(low ?? 0), Math.min(Math.fround(high ?? 0), x));
    const log = (x: number) => (options.log ? Math.sign(x) * Math.log1p(Math.abs(x)) : x);
    const clipped = present.map(clip);
    const least = clipped[0] ?? 0;
    const greatest = clipped.at(-1) ?? 0;
    if (Math.fround(least) !== Math.fround(greatest)) {
      if (options.bins !== undefined) {
        const shares = Array.from(
          { length: options.bins - 1 },
          (_, index) => (index + 1) / (options.bins ?? 1),
        );
        const edges = shares.map((share) => Math.fround(clip(quantile(present, share))));
        const kept = [...new Set(edges)].filter((edge) => edge > Math.fround(least));
        features.push(
          ...binned(
            name,
            scoring.map((x) => clip(x ?? fill)),
            kept.length > 0 ? kept : [Math.fround(greatest)],
            options,
          ),
        );
      } else {
        const values = clipped.map(log);
        const first = values[0] ?? 0;
        const last = values.at(-1) ?? 0;
        const average = mean(values);
        const deviation = Math.sqrt(mean(values.map((x) => (x - average) ** 2)));
        const [offset, scale] = {
          standard: [average, deviation],
          robust: [quantile(values, 0.5), quantile(values, 0.75) - quantile(values, 0.25)],
          minmax: [first, last - first],
          none: [0, 1],
        }[options.scale];
        features.push({
          name: options.log ? `${name} (log)` : name,
          values: scoring.map(
            (x) => (log(clip(x ?? fill)) - Math.fround(offset ?? 0)) / (Math.fround(scale ?? 1) || 1),
          ),
        });
      }
    }
  }
  if (indicate && options.missingIndicator) features.push(...indicator(name, training, scoring));
  return features;
}

function binned(
  name: string,
  values: number[],
  edges: number[],
  { binEncoding }: NumericOptions,
): ReferenceFeature[] {
  const bins = values.map((value) =>
    Number.isNaN(value) ? Number.NaN : edges.filter((edge) => value >= edge).length,
  );
  if (binEncoding === 'ordinal') return [{ name: `${name} (bin)`, values: bins }];
  return [...edges, Number.NaN].map((_, bin) => ({
    name: [
      bin === 0 ? '' : `${edges[bin - 1]} ≤ `,
      name,
      bin === edges.length ? '' : ` < ${edges[bin]}`,
    ].join(''),
    values: bins.map((own) => Number(own === bin)),
  }));
}

function indicator(name: string, training: unknown[], scoring: unknown[]): ReferenceFeature[] {
  const missing = training.filter((value) => value === null).length;
  if (missing === 0 || missing === training.length) return [];
  return [{ name: `${name} is missing`, values: scoring.map((value) => Number(value === null)) }];
}

function flags(name: string, training: Optional[], scoring: Optional[]): ReferenceFeature[] {
  const present = training.filter(isThere);
  const varies = new Set(present).size > 1;
  const fill = Number(mean(present) >= 0.5);
  return [
    ...(varies ? [{ name, values: scoring.map((value) => value ?? fill) }] : []),
    ...indicator(name, training, scoring),
  ];
}

const PARTS = {
  year: (d: Date) => d.getUTCFullYear(),
  month: (d: Date) => d.getUTCMonth() + 1,
  day: (d: Date) => d.getUTCDate(),
  dayofyear: (d: Date) => {
    const start = new Date(d);
    start.setUTCMonth(0, 1);
    return Math.round((d.getTime() - start.getTime()) / 86_400_000) + 1;
  },
  weekday: (d: Date) => (d.getUTCDay() + 6) % 7,
  hour: (d: Date) => d.getUTCHours(),
  minute: (d: Date) => d.getUTCMinutes(),
};
const PERIODS: Record<string, number> = { month: 12, weekday: 7, hour: 24 };

function dates(
  name: string,
  training: Optional[],
  scoring: Optional[],
  options: DatetimeOptions,
): ReferenceFeature[] {
  const plain: ReferenceFeature[] = [];
  const cyclic: ReferenceFeature[] = [];
  for (const part of options.parts) {
    const take = (seconds: Optional) =>
      seconds === null ? null : PARTS[part](new Date(Math.floor(seconds) * 1000));
    const period = PERIODS[part];
    const made = numeric(
      `${name}.${part}`,
      training.map(take),
      scoring.map(take),
      { ...options, log: false, binEncoding: 'ordinal' },
      false,
    );
    if (!options.cyclic || period === undefined) plain.push(...made);
    else if (made.length > 0) {
      const turn = scoring.map((seconds) => {
        const value = take(seconds);
        return value === null ? null : (2 * Math.PI * (part === 'month' ? value - 1 : value)) / period;
      });
      cyclic.push({
        name: `${name}.${part}.sin`,
        values: turn.map((angle) => (angle === null ? 0 : Math.sin(angle))),
      });
      cyclic.push({
        name: `${name}.${part}.cos`,
        values: turn.map((angle) => (angle === null ? 0 : Math.cos(angle))),
      });
    }
  }
  return [...plain, ...cyclic, ...(options.missingIndicator ? indicator(name, training, scoring) : [])];
}

function categories(
  name: string,
  training: (string | null)[],
  scoring: (string | null)[],
  options: CategoricalOptions,
): ReferenceFeature[] {
  const counts = new Map<string, number>();
  for (const word of training.filter(isThere)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const missing = training.filter((word) => word === null).length;
  const frequent = [...counts].filter(([, count]) => count >= options.minFrequency);
  frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));

  const share = (count: number) => count / training.length;
  const shares = new Map(frequent.map(([word, count]) => [word, share(count)]));
  const rare = counts.size > frequent.length;
  const told = new Set([...shares.values(), ...(rare ? [0] : []), ...(missing > 0 ? [share(missing)] : [])]);
  let { encoding } = options;
  if (encoding === 'auto')
    encoding = frequent.length <= options.maxCategories || told.size < 2 ? 'onehot' : 'frequency';
  if (encoding === 'frequency') {
    if (told.size < 2) return [];
    return [
      { name, values: scoring.map((word) => (word === null ? share(missing) : (shares.get(word) ?? 0))) },
    ];
  }
  const kept = (encoding === 'onehot' ? frequent.slice(0, options.maxCategories) : frequent)
    .map(([word]) => word)
    .sort();
  const other = counts.size > kept.length;
  if (kept.length + Number(other) + Number(missing > 0) < 2) return [];
  if (encoding === 'ordinal') {
    // `indexOf` gives -1 for what it does not find.
    return [
      { name, values: scoring.map((word) => (word === null ? (missing > 0 ? -2 : -1) : kept.indexOf(word))) },
    ];
  }
  const is = (test: (word: string | null) => boolean) => scoring.map((word) => Number(test(word)));
  const isOther = (word: string | null) => (word === null ? missing === 0 : !kept.includes(word));
  return [
    ...kept.map((category) => ({ name: `${name}=${category}`, values: is((word) => word === category) })),
    ...(other ? [{ name: `${name} is other`, values: is(isOther) }] : []),
    ...(missing > 0 && kept.length + Number(other) > 0 ? indicator(name, training, scoring) : []),
  ];
}

const mean = (list: number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;

function quantile(sorted: number[], q: number): number {
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)] ?? 0;
  return below + ((sorted[Math.ceil(place)] ?? 0) - below) * (place - Math.floor(place));
}

/** Seeded random numbers in [0, 1) (mulberry32), so that a failing table can be had again. */
export function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
