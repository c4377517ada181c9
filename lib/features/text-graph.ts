import type { OnnxGraphBuilder } from '../onnx/graph.ts';
import { addIsMissing } from './category-graph.ts';
import type { TextPlan, Vocabulary } from './feature-plan.ts';
import { join, type MatrixBlocks } from './matrix-blocks.ts';

/** Far below the length of any text that has a known term, which is 1 at least. */
const SHORTEST = 1e-12;

/**
 * Adds the nodes of texts: A to Z in lower case, split at spaces, the counts of the vocabulary's terms times their
 * inverse document frequencies, divided by the Euclidean length of the row. A text without a known term is 0
 * everywhere. Needs opset 20.
 *
 * The locale is "C": others lower more letters, but are not installed on every machine, and DuckDB could not follow.
 */
export function addTexts(graph: OnnxGraphBuilder, columns: readonly TextPlan[], blocks: MatrixBlocks): void {
  const known = columns.flatMap(({ name, value }) => (value ? [{ name, value }] : []));
  if (known.length === 0) return;
  let length = 0;
  const parts = known.map(({ name, value }) => {
    value.terms.forEach((_, index) => {
      blocks.place(name, 'term', length + index);
    });
    length += value.terms.length;
    return addWeights(graph, name, value);
  });
  blocks.add('term', join(graph, parts), length);
}

/** Float `[terms, batch]`. */
function addWeights(graph: OnnxGraphBuilder, name: string, value: Vocabulary): string {
  const lower = graph.op('StringNormalizer', [name], {
    attributes: { case_change_action: 'LOWER', is_case_sensitive: 0n, locale: 'C' },
  });
  const [words] = graph.node('StringSplit', [lower], { attributes: { delimiter: ' ' }, outputs: 2 });
  const weights = graph.op('TfIdfVectorizer', [words ?? ''], { attributes: termAttributes(value) });
  const axes = graph.initializer('terms', { type: 'int64', dims: [1], data: [1] });
  const squares = graph.op('ReduceSum', [graph.op('Mul', [weights, weights]), axes], {
    attributes: { keepdims: 1n },
  });
  const shortest = graph.initializer('shortest', { type: 'float', dims: [], data: [SHORTEST] });
  const size = graph.op('Max', [graph.op('Sqrt', [squares]), shortest]);
  const turned = graph.op('Transpose', [graph.op('Div', [weights, size])], {
    attributes: { perm: [1n, 0n] },
  });
  // "None" and its like are no words of a text; they may be words of the vocabulary.
  const one = graph.initializer('one', { type: 'float', dims: [], data: [1] });
  return graph.op('Mul', [turned, graph.op('Sub', [one, addIsMissing(graph, name)])]);
}

/** The operator's pool holds words first, then pairs; the indexes say which term of the vocabulary each is. */
function termAttributes({ terms, idf }: Vocabulary) {
  const places = [...terms.keys()];
  const words = places.filter((place) => !terms[place]?.includes(' '));
  const pairs = places.filter((place) => terms[place]?.includes(' '));
  const order = [...words, ...pairs];
  return {
    mode: 'TFIDF',
    min_gram_length: 1n,
    max_gram_length: pairs.length > 0 ? 2n : 1n,
    max_skip_count: 0n,
    ngram_counts: pairs.length > 0 ? [0n, BigInt(words.length)] : [0n],
    ngram_indexes: order.map(BigInt),
    pool_strings: order.flatMap((place) => (terms[place] ?? '').split(' ')),
    weights: order.map((place) => idf[place] ?? 0),
  };
}
