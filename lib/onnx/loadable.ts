import { PerennialError } from '../../contracts/errors.ts';
import { walkFields } from './wire.ts';

type Message = 'model' | 'training' | 'function' | 'graph' | 'node' | 'attribute' | 'sparse' | 'tensor';

/** Where messages stand in others, by field number; see onnx.proto. */
const INNER: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};
const [NODE_DOMAIN, FUNCTION_DOMAIN, TENSOR_NAME, TENSOR_LOCATION] = [7, 10, 8, 14];
/** Deeper than any exporter nests; the engine's parser stops at a hundred as well. */
const MAX_DEPTH = 100;

/** Domains whose operators are a part of ONNX Runtime itself. */
const KNOWN_DOMAINS = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview',
  'ai.onnx.preview.training',
  'com.microsoft',
]);

/**
 * Refuses bytes that the engine would complete from elsewhere: a tensor that lies in another file (which the engine
 * looks for in the working directory) or at an address of this process's memory, and operators of a library of their
 * own. Only what the digest covers becomes the model.
 *
 * @throws PerennialError `ModelInvalid`
 * @see https://onnx.ai/onnx/repo-docs/ExternalData.html
 */
export function requireLoadable(onnx: Uint8Array): void {
  // The engine's own format, which it tells by these letters, would pass by every check below.
  if (Buffer.from(onnx.subarray(4, 8)).toString('latin1') === 'ORTM')
    throw invalid('its bytes are in the format of ONNX Runtime; export it as ONNX');
  const used = new Set<string>();
  const defined = new Set<string>();
  const visit = (message: Message, bytes: Uint8Array, depth: number): void => {
    if (depth > MAX_DEPTH) throw invalid('its graphs are nested too deeply; export it again');
    let name = '';
    let external = false;
    walkFields(bytes, (number, type, _start, content, end) => {
      if (type === 2) {
        const inner = INNER[message][number];
        if (inner) visit(inner, bytes.subarray(content, end), depth + 1);
        else if (message === 'node' && number === NODE_DOMAIN) used.add(textOf(bytes, content, end));
        else if (message === 'function' && number === FUNCTION_DOMAIN)
          defined.add(textOf(bytes, content, end));
        else if (message === 'tensor' && number === TENSOR_NAME) name = textOf(bytes, content, end);
      } else if (message === 'tensor' && number === TENSOR_LOCATION && type === 0)
        // Any other number but 0, in however many bytes, is none of ours to interpret.
        external ||= bytes.subarray(content, end).some((byte) => (byte & 0x7f) !== 0);
    });
    if (external)
      throw invalid(`the tensor ${shown(name)} lies in another file; export the model into one file`);
  };
  visit('model', onnx, 0);
  for (const domain of used)
    if (!KNOWN_DOMAINS.has(domain) && !defined.has(domain))
      throw invalid(
        `it uses operators of the domain ${shown(domain)}, which need a library of their own; export it with the operators of ONNX`,
      );
}

const textOf = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('utf8');

const shown = (name: string): string => JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);

function invalid(problem: string): PerennialError {
  return new PerennialError('ModelInvalid', `the model cannot be loaded: ${problem}`);
}
