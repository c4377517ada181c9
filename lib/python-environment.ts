import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import type { PythonEnvironment } from './model-directory.ts';

const PACKAGES = ['mlflow', 'numpy', 'onnx', 'onnxruntime', 'pandas'] as const;
const PROGRAM = `
import importlib.metadata as m, json, platform
print(json.dumps({"python": platform.python_version(), "packages": {p: m.version(p) for p in ${JSON.stringify(PACKAGES)}}}))`;
const answer = z.object({ python: z.string(), packages: z.record(z.string(), z.string()) });

const known = new Map<string, Promise<PythonEnvironment>>();

/**
 * The versions that a Python interpreter has of what a served model needs; asked once per process.
 *
 * @throws PerennialError `StageFailed` where Python or one of the packages is missing
 */
export function pythonEnvironment(python: string): Promise<PythonEnvironment> {
  let environment = known.get(python);
  if (!environment) {
    environment = ask(python).catch((error: unknown) => {
      known.delete(python);
      throw error;
    });
    known.set(python, environment);
  }
  return environment;
}

async function ask(python: string): Promise<PythonEnvironment> {
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', PROGRAM], { timeout: 60_000 });
    return answer.parse(JSON.parse(stdout));
  } catch (cause) {
    throw new PerennialError(
      'StageFailed',
      `${python} has not all of ${PACKAGES.join(', ')}; run \`npm run setup\`, or set PERENNIAL_PYTHON to an interpreter that has them`,
      false,
      { cause },
    );
  }
}
