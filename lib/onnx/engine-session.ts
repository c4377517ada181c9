import { createRequire } from 'node:module';
import { InferenceSession, type Tensor } from 'onnxruntime-node';

/** What the engine answered, by output name. */
export type EngineResults = Readonly<Record<string, { readonly data: Tensor['data'] } | undefined>>;

/** An input or output of a loaded graph: element type of a tensor (`undefined` for anything else), and its shape. */
export interface EngineValue {
  readonly name: string;
  readonly type: string | undefined;
  /** Numbers, and names (also empty ones) of dimensions that vary. */
  readonly shape: readonly (number | string)[];
}

/** A loaded graph. */
export interface EngineSession {
  readonly inputs: readonly EngineValue[];
  readonly outputs: readonly EngineValue[];
  /**
   * Computes, holding the thread. The answer is there at once where {@link openEngineSession} found the way to it.
   *
   * @throws unknown whatever the engine throws; its words may quote the row
   */
  run(feeds: Record<string, Tensor>): EngineResults | Promise<EngineResults>;
  release(): Promise<void>;
}

/**
 * Loads a graph that `requireLoadable` has passed; nothing else is read.
 *
 * The engine's client puts every run off to the next turn of the event loop and then runs it there, synchronously; for a
 * row, waiting for that turn takes a third of the whole. So its native part is called directly where it is what is
 * known here (as in onnxruntime-node 1.30); in any doubt, and for any error, the client's own API is used.
 *
 * @param fetches the outputs to compute
 */
export async function openEngineSession(
  onnx: Uint8Array,
  options: InferenceSession.SessionOptions,
  fetches: readonly string[],
): Promise<EngineSession> {
  return openNative(onnx, options, fetches) ?? (await openPublic(onnx, options, fetches));
}

/** {@link openEngineSession} with the client's public API alone. */
export async function openPublic(
  onnx: Uint8Array,
  options: InferenceSession.SessionOptions,
  fetches: readonly string[],
): Promise<EngineSession> {
  const session = await InferenceSession.create(onnx, options);
  const values = (all: readonly InferenceSession.ValueMetadata[]): EngineValue[] =>
    all.map((value) =>
      value.isTensor
        ? { name: value.name, type: value.type, shape: value.shape }
        : { name: value.name, type: undefined, shape: [] },
    );
  return {
    inputs: values(session.inputMetadata),
    outputs: values(session.outputMetadata),
    run: (feeds) => session.run(feeds, fetches),
    release: () => session.release(),
  };
}

/** The native part as its client declares it, as far as it is used here. */
interface NativeSession {
  readonly inputMetadata: unknown;
  readonly outputMetadata: unknown;
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
  run(feeds: object, fetches: object, options: object): EngineResults | Promise<EngineResults>;
  dispose(): void;
}
interface NativeModule {
  readonly binding: { readonly InferenceSession: new () => NativeSession };
  initOrt(): void;
}

const ELEMENT_TYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  11: 'float64',
};

let native: NativeModule | undefined | null = null;

/** The native module, looked for once. */
function nativeModule(): NativeModule | undefined {
  if (native !== null) return native;
  try {
    const found: unknown = createRequire(import.meta.url)('onnxruntime-node/dist/binding.js');
    native = isNativeModule(found) ? found : undefined;
  } catch {
    native = undefined;
  }
  return native;
}

function openNative(
  onnx: Uint8Array,
  options: InferenceSession.SessionOptions,
  fetches: readonly string[],
): EngineSession | undefined {
  const module = nativeModule();
  if (!module) return undefined;
  try {
    module.initOrt();
    const session = new module.binding.InferenceSession();
    session.loadModel(onnx.buffer, onnx.byteOffset, onnx.byteLength, options);
    const [inputs, outputs] = [nativeValues(session.inputMetadata), nativeValues(session.outputMetadata)];
    if (!inputs || !outputs) {
      session.dispose();
      return undefined;
    }
    const wanted = Object.fromEntries(fetches.map((name) => [name, null]));
    return {
      inputs,
      outputs,
      run: (feeds) => session.run(feeds, wanted, {}),
      release: async () => session.dispose(),
    };
  } catch {
    // The public API says what is wrong.
    return undefined;
  }
}

const get = (value: unknown, key: string): unknown =>
  (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? Reflect.get(value, key)
    : undefined;

function isNativeModule(found: unknown): found is NativeModule {
  const session = get(get(found, 'binding'), 'InferenceSession');
  const methods = get(session, 'prototype');
  return (
    typeof get(found, 'initOrt') === 'function' &&
    typeof session === 'function' &&
    ['loadModel', 'run', 'dispose'].every((name) => typeof get(methods, name) === 'function')
  );
}

function nativeValues(all: unknown): EngineValue[] | undefined {
  if (!Array.isArray(all)) return undefined;
  const values: EngineValue[] = [];
  for (const value of all) {
    const [name, type, shape] = [get(value, 'name'), get(value, 'type'), get(value, 'shape')];
    const names = get(value, 'symbolicDimensions');
    if (typeof name !== 'string') return undefined;
    if (get(value, 'isTensor') !== true) {
      values.push({ name, type: undefined, shape: [] });
      continue;
    }
    if (typeof type !== 'number' || !Array.isArray(shape)) return undefined;
    values.push({
      name,
      type: ELEMENT_TYPES[type] ?? `type ${type}`,
      shape: shape.map((size: unknown, place) =>
        typeof size === 'number' && size >= 0
          ? size
          : String(Array.isArray(names) ? (names[place] ?? '') : ''),
      ),
    });
  }
  return values;
}
