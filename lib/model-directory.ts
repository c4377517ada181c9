import { stringify } from 'yaml';
import type { ModelSignature } from '../contracts/serving.ts';

/** Versions that a served model needs in Python. */
export interface PythonEnvironment {
  python: string;
  /** Exact versions by package name: mlflow, onnx, onnxruntime, numpy, pandas. */
  packages: Record<string, string>;
}

/** What goes into a model directory. */
export interface ModelDirectory {
  signature: ModelSignature;
  onnx: Uint8Array;
  /** A few requests as records, made up and not of the data; missing values are `null`. */
  inputExample: Record<string, number | string | null>[];
  environment: PythonEnvironment;
  mlflowVersion: string;
  modelId: string;
  runId: string;
  /** ISO time. */
  createdAt: string;
  /** Further files by name, for example `pipeline.json`. */
  files: Record<string, string>;
}

/**
 * MLflow's column types. A number is always `double`: `long` refuses missing values and `float` refuses ordinary
 * frames. A date goes in as epoch seconds.
 */
const columnType = (kind: string): 'double' | 'string' =>
  kind === 'categorical' || kind === 'text' || kind === 'string' ? 'string' : 'double';

function signatureJson(signature: ModelSignature): { inputs: string; outputs: string; params: null } {
  return {
    inputs: JSON.stringify(
      signature.inputs.map(({ name, kind, optional }) => ({
        type: columnType(kind),
        name,
        required: !optional,
      })),
    ),
    outputs: JSON.stringify(
      signature.outputs.map(({ name, kind }) => ({ type: columnType(kind), name, required: true })),
    ),
    params: null,
  };
}

/**
 * The files of a portable MLflow model (flavours `onnx` and `python_function`), by name. `mlflow models serve`,
 * `mlflow.pyfunc.load_model` and KServe can load the folder.
 *
 * Format: https://mlflow.org/docs/3.17.0/ml/model/ (MLmodel specification).
 */
export function modelFiles(model: ModelDirectory): Record<string, string | Uint8Array> {
  const { python, packages } = model.environment;
  const pins = Object.entries(packages).map(([name, version]) => `${name}==${version}`);
  const columns = model.signature.inputs.map((input) => input.name);
  const example = {
    columns,
    data: model.inputExample.map((row) => columns.map((column) => row[column] ?? null)),
  };
  const mlmodel = {
    artifact_path: 'model',
    flavors: {
      onnx: {
        code: null,
        data: 'model.onnx',
        onnx_session_options: null,
        onnx_version: packages.onnx ?? '',
        providers: ['CPUExecutionProvider'],
      },
      python_function: {
        data: 'model.onnx',
        env: { conda: 'conda.yaml', virtualenv: 'python_env.yaml' },
        loader_module: 'mlflow.onnx',
        python_version: python,
      },
    },
    is_signature_from_type_hint: false,
    mlflow_version: model.mlflowVersion,
    model_id: model.modelId,
    model_size_bytes: model.onnx.byteLength,
    model_uuid: model.modelId,
    run_id: model.runId,
    saved_input_example_info: {
      artifact_path: 'input_example.json',
      pandas_orient: 'split',
      serving_input_path: 'serving_input_example.json',
      type: 'dataframe',
    },
    signature: signatureJson(model.signature),
    type_hint_from_example: false,
    utc_time_created: model.createdAt.replace('T', ' ').replace('Z', ''),
  };
  return {
    MLmodel: stringify(mlmodel),
    'model.onnx': model.onnx,
    'requirements.txt': `${pins.join('\n')}\n`,
    'python_env.yaml': stringify({
      python,
      build_dependencies: ['pip', 'setuptools', 'wheel'],
      dependencies: ['-r requirements.txt'],
    }),
    'conda.yaml': stringify({
      channels: ['conda-forge'],
      dependencies: [`python=${python}`, 'pip', { pip: pins }],
      name: 'mlflow-env',
    }),
    'input_example.json': JSON.stringify(example),
    'serving_input_example.json': JSON.stringify({ dataframe_split: example }),
    ...model.files,
  };
}
