import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { artifactRef } from '../../contracts/refs.ts';
import { ONNX_FILE, SERVING_FILE, servingFile, VERSION_TAGS } from '../../contracts/registered-version.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { collect, type MlflowClient, MlflowError } from '../../packages/mlflow-client-ts/src/index.ts';
import { type PerennialVersion, registeredVersion } from '../model-versions.ts';

/** A version whose model directory was downloaded. */
export interface ExportedVersion {
  /** The registered model, which is the name of its endpoint, too. */
  readonly name: string;
  readonly served: ServedModel;
}

/**
 * Downloads a version's model directory from MLflow.
 *
 * @param wanted a version or an alias; see {@link registeredVersion}
 * @param target folder to download into
 * @throws PerennialError `InputInvalid` for an unknown version; `ArtifactMissing`, `ArtifactCorrupt` where MLflow does
 *   not have the bytes that were registered; `TrackerUnavailable`, `TrackerRejected`
 */
export async function downloadVersion(
  mlflow: MlflowClient,
  model: string,
  wanted: string | undefined,
  target: string,
): Promise<ExportedVersion> {
  try {
    const version = await registeredVersion(mlflow, model, wanted);
    const onnx = registeredGraph(version);
    const of = `version ${version.version} of ${version.name}`;
    const files = await collect(mlflow.artifacts.list({ modelId: version.modelId, recursive: true }));
    for (const { path } of files.filter(({ isDir }) => !isDir)) {
      if (path.split('/').includes('..') || isAbsolute(path))
        throw new PerennialError('ArtifactCorrupt', `${of} has a file outside of its folder in MLflow`);
      const file = join(target, path);
      await mkdir(dirname(file), { recursive: true });
      await mlflow.artifacts.downloadToFile({ modelId: version.modelId, path, file });
    }
    await verify(join(target, ONNX_FILE), onnx, of);
    const { signature, views } = servingFile.parse(await jsonOf(join(target, SERVING_FILE), of));
    return {
      name: version.name,
      served: { version: version.version, onnx, signature, ...(views && { views }) },
    };
  } catch (error) {
    throw error instanceof MlflowError ? trackerError(error) : error;
  }
}

/** The reference that the version was registered with. */
function registeredGraph({ name, version, tags }: PerennialVersion): ServedModel['onnx'] {
  const tag = tags[VERSION_TAGS.onnx];
  const parsed = artifactRef.safeParse(tag === undefined ? undefined : JSON.parse(tag));
  if (parsed.success) return parsed.data;
  throw new PerennialError(
    'InputInvalid',
    `version ${version} of ${name} has no readable tag ${VERSION_TAGS.onnx}, so its bytes cannot be verified; register the model again`,
  );
}

async function verify(path: string, expected: ServedModel['onnx'], of: string): Promise<void> {
  const { size } = await stat(path).catch((cause: unknown) => {
    throw missing(ONNX_FILE, of, cause);
  });
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path)) digest.update(chunk);
  const found = digest.digest('hex');
  if (found === expected.sha256 && size === expected.bytes) return;
  throw new PerennialError(
    'ArtifactCorrupt',
    `${ONNX_FILE} of ${of} in MLflow has the digest ${found}, not ${expected.sha256} with which it was registered; restore MLflow's artifacts, or register the model again`,
  );
}

async function jsonOf(path: string, of: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw missing(SERVING_FILE, of, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PerennialError('ArtifactCorrupt', `${SERVING_FILE} of ${of} in MLflow is not JSON`, false, {
      cause,
    });
  }
}

const missing = (file: string, of: string, cause: unknown): PerennialError =>
  new PerennialError(
    'ArtifactMissing',
    `${of} has no ${file} in its model directory in MLflow; restore MLflow's artifacts, or register the model again`,
    false,
    { cause },
  );

const trackerError = (error: MlflowError): PerennialError =>
  error.retryable
    ? new PerennialError(
        'TrackerUnavailable',
        `${error.message}; start MLflow (\`perennial up\`), or correct MLFLOW_TRACKING_URI`,
        true,
        { cause: error },
      )
    : new PerennialError('TrackerRejected', error.message, false, { cause: error });
