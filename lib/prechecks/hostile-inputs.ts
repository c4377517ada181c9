import { isTextInput, type ModelInput, type ModelSignature } from '../../contracts/serving.ts';
import type { RawRequest } from './candidate-client.ts';
import { hostileBodies } from './hostile-bodies.ts';
import { DATATYPES, jsonRequest, type Row } from './tensor-body.ts';

/** Something that a client might send by mistake or on purpose. */
export interface HostileInput {
  /** What is wrong with it, for messages: nothing of it comes out of a row. */
  readonly name: string;
  readonly request: RawRequest;
  /**
   * Whether a sound model may find no number for it: what is near the largest float32 overflows where it is scaled. It
   * must be answered all the same; clients get `null`.
   */
  readonly overflows?: boolean | undefined;
}

/** Columns that get hostile values, spread over all of them. */
const MOST_COLUMNS = 20;
const MEGABYTE = 'x'.repeat(1_000_000);
const UNSEEN = 'perennial: a word that was never seen';

const LARGEST = 'the largest number of 32 bits';

/** Values of a column as JSON, by what stands in their place otherwise. */
const NUMBERS: Readonly<Record<string, string>> = {
  'a text': '"abc"',
  'the text NaN': '"NaN"',
  'the text Infinity': '"Infinity"',
  'an empty text': '""',
  'a huge text': JSON.stringify(MEGABYTE),
  'the word NaN': 'NaN',
  'the word Infinity': '-Infinity',
  'a number beyond any': '1e400',
  'a number beyond 32 bits': '1e39',
  [LARGEST]: '3.4028234663852886e38',
  'a huge number': '1e30',
  'a huge negative number': '-1e30',
  'a tiny number': '1e-320',
  'negative nought': '-0.0',
  'a whole number that no float holds': '9007199254740993',
  'a number with a thousand digits': `1${'0'.repeat(1_000)}`,
  'a leading nought': '007',
};
const TEXTS: Readonly<Record<string, string>> = {
  'a number': '12.5',
  'a category that was never seen': JSON.stringify(UNSEEN),
  'an empty text': '""',
  'a huge text': JSON.stringify(MEGABYTE),
  'a text with a nought': '"a\\u0000b"',
  'half of a surrogate pair': '"\\ud800"',
  'text of many scripts': JSON.stringify('\u202eşλ漢字🧪\u0301'.repeat(20)),
  'quotes and commands': JSON.stringify('\'; DROP TABLE x; -- "${x}" {{x}} %s ../../etc'),
};
const DATES: Readonly<Record<string, string>> = {
  'a text that is no date': '"yesterday"',
  'a number beyond any': '1e400',
  'a moment far away': '1e300',
  'a moment before all years': '-1e15',
  'the word NaN': 'NaN',
};
const ANY: Readonly<Record<string, string>> = {
  'no value': 'null',
  true: 'true',
  'an object': '{"a":1}',
  'a list': '[1,2]',
  'a list in lists': `${'['.repeat(50)}1${']'.repeat(50)}`,
};

const VALUES: Record<ModelInput['kind'], Readonly<Record<string, string>>> = {
  numeric: { ...ANY, ...NUMBERS },
  boolean: { ...ANY, ...NUMBERS },
  datetime: { ...ANY, ...DATES },
  categorical: { ...ANY, ...TEXTS },
  text: { ...ANY, ...TEXTS },
};

/**
 * Requests with wrong types, missing and unknown inputs, impossible shapes, huge values and broken bodies; each is a
 * sound row but for one thing.
 *
 * @param row a sound one
 */
export function hostileInputs(signature: ModelSignature, row: Row): HostileInput[] {
  const { inputs } = signature;
  const sound = inputs.map((input) => soundTensor(input, row));
  const withTensor = (index: number, tensor: Tensor): string =>
    bodyOf(sound.map((own, i) => (i === index ? tensor : own)));
  const spread = Math.max(1, Math.ceil(inputs.length / MOST_COLUMNS));
  const ofColumns = inputs.flatMap((input, index) =>
    index % spread === 0 ? columnInputs(input, sound[index], (tensor) => withTensor(index, tensor)) : [],
  );
  const absent = inputs.flatMap(({ name }, index) =>
    index % spread === 0
      ? [json(`the column "${name}" is absent`, bodyOf(sound.filter((_, i) => i !== index)))]
      : [],
  );
  return [
    ...ofColumns,
    ...absent,
    ...wholeRows(signature, row),
    ...tensorInputs(sound, withTensor),
    ...hostileBodies(bodyOf(sound)),
  ];
}

/** A tensor whose parts are JSON already. */
interface Tensor {
  readonly name: string;
  readonly shape: string;
  readonly datatype: string;
  readonly data: string;
}

const soundTensor = ({ name, kind }: ModelInput, row: Row): Tensor => ({
  name: JSON.stringify(name),
  shape: '[1]',
  datatype: JSON.stringify(DATATYPES[kind]),
  data: JSON.stringify([row[name] ?? null]),
});

const bodyOf = (tensors: readonly Tensor[]): string =>
  `{"inputs":[${tensors
    .map(
      ({ name, shape, datatype, data }) =>
        `{"name":${name},"shape":${shape},"datatype":${datatype},"data":${data}}`,
    )
    .join(',')}]}`;

const json = (name: string, body: string, overflows = false): HostileInput => ({
  name,
  request: { body },
  overflows,
});

function columnInputs(
  { name, kind }: ModelInput,
  own: Tensor | undefined,
  body: (tensor: Tensor) => string,
): HostileInput[] {
  if (!own) return [];
  const where = `the column "${name}"`;
  const values = Object.entries(VALUES[kind]).map(([what, value]) =>
    json(`${where} holds ${what}`, body({ ...own, data: `[${value}]` }), what === LARGEST),
  );
  const other = isTextInput(kind) ? 'FP32' : 'BYTES';
  return [
    ...values,
    json(`${where} has the datatype ${other}`, body({ ...own, datatype: `"${other}"` })),
    json(`${where} has a datatype that there is not`, body({ ...own, datatype: '"FP7"' })),
  ];
}

/** All columns at once: what single ones stand may be too much together. */
function wholeRows(signature: ModelSignature, row: Row): HostileInput[] {
  const numbers = signature.inputs.filter(({ kind }) => kind === 'numeric').map(({ name }) => name);
  const texts = signature.inputs.filter(({ kind }) => isTextInput(kind)).map(({ name }) => name);
  const all = (names: readonly string[], value: number | string): RawRequest =>
    jsonRequest(signature, [{ ...row, ...Object.fromEntries(names.map((name) => [name, value])) }]);
  const missing = Object.fromEntries(signature.inputs.map(({ name }) => [name, null]));
  return [
    { name: 'all values are missing', request: jsonRequest(signature, [missing]) },
    { name: 'all numbers are the largest', request: all(numbers, 3.4028234663852886e38), overflows: true },
    { name: 'all numbers are huge', request: all(numbers, 1e30) },
    { name: 'all numbers are huge and negative', request: all(numbers, -1e30) },
    { name: 'no category was ever seen', request: all(texts, UNSEEN) },
    { name: 'no rows', request: jsonRequest(signature, []) },
  ];
}

/** Shapes, names and repetitions of tensors, at the first of them. */
function tensorInputs(
  sound: readonly Tensor[],
  withTensor: (index: number, tensor: Tensor) => string,
): HostileInput[] {
  const [first] = sound;
  if (!first) return [];
  const shapes = ['[2]', '[-1]', '[0]', '[1.5]', '[9007199254740991]', '[1,1,1]', '[]', '"1"', 'null', '{}'];
  const names = ['""', '"__proto__"', '"perennial-no-such-column"', 'null', '7', JSON.stringify(MEGABYTE)];
  return [
    ...shapes.map((shape) => json(`the shape ${shape} for one value`, withTensor(0, { ...first, shape }))),
    ...names.map((name) => json(`a column named ${name.slice(0, 40)}`, withTensor(0, { ...first, name }))),
    ...names.map((name) =>
      json(`a column too many, named ${name.slice(0, 40)}`, bodyOf([...sound, { ...first, name }])),
    ),
    json('a column that is there twice', bodyOf([...sound, first])),
    json('no data', `{"inputs":[{"name":${first.name},"shape":[1],"datatype":${first.datatype}}]}`),
    json('data that are no list', withTensor(0, { ...first, data: '{"0":1}' })),
    json('a thousand values for one row', withTensor(0, { ...first, data: `[${'0,'.repeat(999)}0]` })),
  ];
}
