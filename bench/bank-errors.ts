import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { type BinnedFeature, boostedLogOdds } from '../lib/statistics/boosted-trees.ts';

const EXAMPLE = new URL('../examples/bank/', import.meta.url);
const LEARNED_BEFORE = '2009-05-01';
/** From 600 calls a day to 80, of other people, who say yes three times as often: so it stays from June on. */
const CHANGED = '2009-05-22';
const NUMBERS = ['age', 'balance', 'campaign', 'pdays', 'previous'] as const;
const TEXTS = ['job', 'marital', 'education', 'housing', 'loan', 'contact', 'poutcome'] as const;
const BINS = 16;

/** Errors of a model of the bank's calls that is never trained anew, call after call from May 2009 on. */
export interface BankErrors {
  /** Days, `[n]`. */
  days: string[];
  /** 1 where it was wrong at a threshold of one half, `[n]`. */
  wrong: Float64Array;
  /** Squared errors of the probability (Brier), `[n]`. */
  losses: Float64Array;
  /** The place of the first call after the change. */
  change: number;
}

/** Boosted trees that were fitted on the calls of the first year. */
export async function bankErrors(): Promise<BankErrors> {
  const rows = await calls();
  const learned = Uint8Array.from(rows, ({ called_on }) => Number(String(called_on) < LEARNED_BEFORE));
  const outcomes = Uint8Array.from(rows, ({ subscribed }) =>
    Number(['yes', 'true'].includes(String(subscribed))),
  );
  const features = [
    ...NUMBERS.map((name) =>
      numberBins(
        rows.map((row) => Number(row[name])),
        learned,
      ),
    ),
    ...TEXTS.map((name) => textBins(rows.map((row) => String(row[name])))),
  ];
  const { logOdds } = boostedLogOdds(features, outcomes, learned);
  const later = rows.flatMap((_, i) => (learned[i] === 1 ? [] : [i]));
  const probability = (i: number): number => 1 / (1 + Math.exp(-(logOdds[i] ?? 0)));
  const days = later.map((i) => String(rows[i]?.called_on));
  return {
    days,
    wrong: Float64Array.from(later, (i) => Number(probability(i) >= 0.5 !== (outcomes[i] === 1))),
    losses: Float64Array.from(later, (i) => (probability(i) - (outcomes[i] ?? 0)) ** 2),
    change: days.findIndex((day) => day >= CHANGED),
  };
}

async function calls(): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const path = fileURLToPath(new URL('data/bank.csv', EXAMPLE));
    await connection.run(
      `CREATE VIEW bank AS SELECT row_number() OVER () AS call, * FROM read_csv(${quoteLiteral(path)}, delim = ';')`,
    );
    const sql = readFileSync(new URL('calls.sql', EXAMPLE), 'utf8');
    const reader = await connection.runAndReadAll(
      `SELECT * REPLACE (CAST(called_on AS VARCHAR) AS called_on) FROM (${sql}\n) ORDER BY call`,
    );
    return reader.getRowObjectsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Bins of about as many rows that are learned from. */
function numberBins(values: readonly number[], learned: Uint8Array): BinnedFeature {
  const known = values.filter((_, i) => learned[i] === 1).sort((a, b) => a - b);
  const edges = Array.from(
    { length: BINS - 1 },
    (_, i) => known[Math.floor(((i + 1) * known.length) / BINS)] ?? 0,
  );
  const bins = Uint8Array.from(values, (value) => edges.filter((edge) => value >= edge).length);
  return { bins, count: BINS, ordered: true };
}

function textBins(values: readonly string[]): BinnedFeature {
  const known = [...new Set(values)].sort();
  return {
    bins: Uint8Array.from(values, (value) => known.indexOf(value)),
    count: known.length,
    ordered: false,
  };
}
