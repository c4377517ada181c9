import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type RouteTable, routesFileContent } from '../../contracts/serving.ts';
import { STANDALONE_FILES, type StandaloneServer, standaloneServer } from '../../contracts/standalone.ts';
import type { ModelStore } from '../loaded-model.ts';

/**
 * The folder that `perennial export` wrote, read only: one version, its routes, and the bytes of its graph.
 *
 * @example
 * const folder = await ModelFolder.open('/app');
 * const server = await ModelServer.create({ serverId, store: folder, routesFile: folder.routesFile, logger });
 */
export class ModelFolder implements ModelStore {
  private constructor(
    private readonly folder: string,
    readonly server: StandaloneServer,
    readonly table: RouteTable,
  ) {}

  /**
   * Reads what the folder says of itself.
   *
   * @throws PerennialError `InputInvalid` where a file is missing or malformed, or the routes name another version
   */
  static async open(folder: string): Promise<ModelFolder> {
    const server = await read(folder, STANDALONE_FILES.server, standaloneServer);
    const { tables } = await read(folder, STANDALONE_FILES.routes, routesFileContent);
    const [table, ...more] = tables;
    const [route, ...others] = table?.routes ?? [];
    const { endpoint, model } = server;
    if (
      table?.endpoint !== endpoint ||
      route?.model.version !== model.version ||
      route.model.onnx.sha256 !== model.sha256 ||
      more.length > 0 ||
      others.length > 0
    )
      throw new PerennialError(
        'InputInvalid',
        `${join(folder, STANDALONE_FILES.routes)} must have one route: to version ${model.version} of "${endpoint}" with the digest that ${STANDALONE_FILES.server} names; export the model again`,
      );
    return new ModelFolder(folder, server, table);
  }

  get routesFile(): string {
    return join(this.folder, STANDALONE_FILES.routes);
  }

  /** The bytes of the graph. Whoever loads them compares their digest. @throws PerennialError `ArtifactMissing` */
  async bytes(ref: ArtifactRef): Promise<Buffer> {
    const { model } = this.server;
    const path = join(this.folder, model.file);
    const missing = (cause?: unknown): never => {
      throw new PerennialError(
        'ArtifactMissing',
        `${path} cannot be read; restore it, or export the model again`,
        false,
        { cause },
      );
    };
    return ref.sha256 === model.sha256 ? readFile(path).catch(missing) : missing();
  }
}

async function read<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T> {
  const path = join(folder, name);
  const refused = (why: string, cause?: unknown): never => {
    throw new PerennialError('InputInvalid', `${path} ${why}; export the model again`, false, { cause });
  };
  const text = await readFile(path, 'utf8').catch((cause: unknown) => refused('cannot be read', cause));
  const parsed = schema.safeParse(json(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return refused(
    `is malformed at ${issue?.path.map(String).join('.') || 'its root'}: ${issue?.message ?? 'wrong shape'}`,
  );
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
