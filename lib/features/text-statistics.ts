import type { DuckDBConnection } from '@duckdb/node-api';
import type { TextOptions } from '../../contracts/spec/features.ts';
import { refused } from '../duckdb/database.ts';
import { compareText } from './category-statistics.ts';
import type { Vocabulary } from './feature-plan.ts';

/** A text column to be learned: an SQL expression over the relation (NULL = missing) and its options. */
export interface TextTask {
  sql: string;
  options: TextOptions;
}

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Learns the vocabulary of a text: the terms that stand in the most rows, ties in order of text, and their inverse
 * document frequencies, `ln((1 + rows) / (1 + rows with the term)) + 1`, as scikit-learn's `TfidfVectorizer` has them.
 *
 * A term is what stands between spaces, with A to Z in lower case: just what the operators of ONNX can do as well.
 *
 * @param relation SQL that may stand after FROM
 * @param rows how many rows that has
 */
export async function fitVocabulary(
  connection: DuckDBConnection,
  relation: string,
  { sql, options }: TextTask,
  rows: number,
): Promise<Vocabulary | undefined> {
  const words = "list_filter(tokens, lambda word: word <> '')";
  const pairs = `list_transform(
    list_filter(range(1, len(tokens)), lambda place: tokens[place] <> '' AND tokens[place + 1] <> ''),
    lambda place: tokens[place] || ' ' || tokens[place + 1])`;
  const terms = options.ngrams === 2 ? `list_concat(${words}, ${pairs})` : words;
  const reader = await connection
    .runAndReadAll(
      `SELECT term, CAST(count(*) AS DOUBLE) AS n FROM (
        SELECT unnest(list_distinct(${terms})) AS term FROM (
          SELECT string_split(translate(${sql}, '${UPPER}', '${UPPER.toLowerCase()}'), ' ') AS tokens FROM ${relation}))
      GROUP BY term HAVING count(*) >= ${options.minDocuments} ORDER BY n DESC, term LIMIT ${options.maxFeatures}`,
    )
    .catch(refused('StageFailed', 'words of a text'));
  const found = reader
    .getRowsJS()
    .map(([term, n]) => ({
      term: String(term),
      idf: Math.fround(Math.log((1 + rows) / (1 + Number(n))) + 1),
    }))
    .sort((a, b) => compareText(a.term, b.term));
  return found.length === 0
    ? undefined
    : { terms: found.map(({ term }) => term), idf: found.map(({ idf }) => idf) };
}
