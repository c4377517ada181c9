import { z } from 'zod';
import { read, write } from '../http/spec.ts';
import type { CallOptions, RequestSpec, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { assertNotEmpty } from '../limits.ts';
import { type Workspace, workspaceSchema } from '../schemas/server.ts';
import { wrapped } from '../schemas/wire.ts';

/** What may be set on a workspace. */
export interface WorkspaceSettings {
  description?: string | undefined;
  /** Root URI for its artifacts. Default: the server's. */
  defaultArtifactRoot?: string | undefined;
}

const workspace = wrapped('workspace', workspaceSchema);
const workspaces = z
  .object({ workspaces: z.array(workspaceSchema).default([]) })
  .transform((wire) => wire.workspaces);

/**
 * Administration of workspaces, on servers started with `--enable-workspaces`. To work
 * inside one, give the client its name: `new MlflowClient({ trackingUri, workspace })`.
 */
export class Workspaces {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists the workspaces the caller may see. */
  async list(options?: CallOptions): Promise<Workspace[]> {
    return this.#transport.json(admin(read('workspaces.list', ''), ROOT), workspaces, options);
  }

  /** Creates a workspace; its name is lower case letters, digits and dashes. */
  async create(args: { name: string } & WorkspaceSettings, options?: CallOptions): Promise<Workspace> {
    assertNotEmpty('workspace name', args.name);
    const spec = write('POST', 'workspaces.create', '', { name: args.name, ...settings(args) }, 'unsent');
    return this.#transport.json(admin(spec, ROOT), workspace, options);
  }

  /** Reads a workspace. */
  async get(args: { name: string }, options?: CallOptions): Promise<Workspace> {
    return this.#transport.json(admin(read('workspaces.get', ''), path(args.name)), workspace, options);
  }

  /** Changes what is given and leaves the rest. */
  async update(args: { name: string } & WorkspaceSettings, options?: CallOptions): Promise<Workspace> {
    const spec = write('PATCH', 'workspaces.update', '', settings(args));
    return this.#transport.json(admin(spec, path(args.name)), workspace, options);
  }

  /** Deletes a workspace; the server refuses the default one. */
  async delete(args: { name: string }, options?: CallOptions): Promise<void> {
    return this.#transport.command(
      admin(write('DELETE', 'workspaces.delete', '', {}), path(args.name)),
      options,
    );
  }
}

const ROOT = '/api/3.0/mlflow/workspaces';

function path(name: string): string {
  return `${ROOT}/${encodeSegment(name)}`;
}

/** Administration lives below `/api/3.0` and names the workspace in the path, not in the header. */
function admin(spec: RequestSpec, at: string): RequestSpec {
  return { ...spec, target: { path: at }, withoutWorkspace: true };
}

function settings(args: WorkspaceSettings): Record<string, unknown> {
  return { description: args.description, default_artifact_root: args.defaultArtifactRoot };
}
