import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { ONNX_FILE } from '../../contracts/registered-version.ts';
import { type RouteTable, routesFileContent, routeTable } from '../../contracts/serving.ts';
import { STANDALONE_FILES, standaloneServer } from '../../contracts/standalone.ts';
import type { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { dockerfile, dockerignore, npmrc, startScript } from './container.ts';
import { inputExample, v2Request } from './example-request.ts';
import { downloadVersion, type ExportedVersion } from './exported-version.ts';
import { seal, writeTexts, writeWhole } from './folder.ts';
import { manifests } from './kubernetes.ts';
import { imageName, resourceName } from './names.ts';
import { readme } from './readme.ts';
import { builtServer, type CopiedRuntime, copyRuntime, copyServer, type ServerProgram } from './runtime.ts';

/** What {@link exportModel} is asked for. */
export interface ExportRequest {
  /** A registered model; also `name/version` and `name@alias`. */
  readonly model: string;
  /** A version or an alias; by default what `model` says, else `champion`. */
  readonly version?: string | undefined;
  /** The folder to write. */
  readonly to: string;
  /** Whether an export that is there is replaced. Default false. */
  readonly force?: boolean | undefined;
  /** Whether ONNX Runtime for this machine is put in. Default true. */
  readonly runtime?: boolean | undefined;
  /** The image that the manifests name. Default made of model and version. */
  readonly image?: string | undefined;
  /** Folder of the built server. Default that of this package. */
  readonly server?: string | undefined;
}

/** What was exported. */
export interface ModelExport {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly image: string;
  /** Platform of the runtime, for example `linux-x64`; null where none was put in. */
  readonly platform: string | null;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Writes a registered version as a folder that serves it: model, server, Dockerfile and manifests. The same version
 * gives the same bytes.
 *
 * @throws PerennialError `InputInvalid` for an unknown version or a folder that is taken, `ArtifactMissing`,
 *   `ArtifactCorrupt`, `TrackerUnavailable`, `TrackerRejected`
 * @example await exportModel(mlflow, { model: 'churn@champion', to: 'churn-server' });
 */
export function exportModel(mlflow: MlflowClient, request: ExportRequest): Promise<ModelExport> {
  const { model, version, to, force = false, server = builtServer() } = request;
  return writeWhole(to, force, async (folder) => {
    const program = await copyServer(server, folder);
    const runtime = request.runtime === false ? undefined : await copyRuntime(program.lock, folder);
    const exported = await downloadVersion(mlflow, model, version, join(folder, STANDALONE_FILES.model));
    const { name, served } = exported;
    const image = imageName(request.image, name, served.version);
    await writeTexts(folder, await texts(folder, exported, { program, runtime, image }));
    const { files, bytes } = await seal(folder, ['start.sh']);
    const { sha256 } = served.onnx;
    const platform = runtime?.platform ?? null;
    return { folder: resolve(to), name, version: served.version, sha256, image, platform, files, bytes };
  });
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function texts(
  folder: string,
  { name: endpoint, served }: ExportedVersion,
  surroundings: { program: ServerProgram; runtime: CopiedRuntime | undefined; image: string },
): Promise<Record<string, string>> {
  const { program, runtime, image } = surroundings;
  const { version, onnx, signature, views = [] } = served;
  const { sha256, bytes } = onnx;
  const name = resourceName(endpoint);
  const server = standaloneServer.parse({
    formatVersion: 1,
    perennial: program.version,
    endpoint,
    model: { name: endpoint, version, file: `${STANDALONE_FILES.model}/${ONNX_FILE}`, sha256, bytes },
  });
  const table: RouteTable = routeTable.parse({
    endpoint,
    generation: 1,
    routes: [{ model: served, weight: 100 }],
  });
  const own = {
    name,
    version: `${version}.0.0`,
    private: true,
    type: 'module',
    license: 'SEE LICENSE IN LICENSE',
  };
  const { dependencies, packages } = program.lock;
  return {
    [STANDALONE_FILES.server]: json(server),
    [STANDALONE_FILES.routes]: json(routesFileContent.parse({ formatVersion: 1, tables: [table] })),
    'package.json': json({
      ...own,
      description: `${endpoint}, version ${version}: a model and its server`,
      engines: { node: '>=20.19' },
      scripts: { start: `node ${STANDALONE_FILES.program}` },
      dependencies,
    }),
    'package-lock.json': json({
      name,
      version: own.version,
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { name, version: own.version, license: own.license, dependencies, engines: { node: '>=20.19' } },
        ...packages,
      },
    }),
    '.npmrc': npmrc(),
    'start.sh': startScript(),
    Dockerfile: dockerfile(),
    '.dockerignore': dockerignore(),
    'examples/v2-request.json': json(v2Request(signature, await exampleOf(folder))),
    ...manifests({ name, endpoint, version, sha256, modelBytes: bytes, image }),
    'README.md': readme({
      name,
      endpoint,
      version,
      sha256,
      image,
      perennial: program.version,
      runtimeVersion: Object.values(dependencies).join(', '),
      runtime,
      inputs: signature.inputs,
      outputs: signature.outputs,
      views,
    }),
  };
}

async function exampleOf(folder: string): Promise<ReturnType<typeof inputExample.parse>> {
  const file = 'input_example.json';
  const text = await readFile(join(folder, STANDALONE_FILES.model, file), 'utf8').catch(() => 'null');
  const parsed = inputExample.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new PerennialError(
    'ArtifactCorrupt',
    `the model directory has no readable ${file}; restore MLflow's artifacts, or register the model again`,
  );
}
