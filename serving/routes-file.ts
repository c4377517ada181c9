import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type RouteTable, routesFileContent } from '../contracts/serving.ts';

/** The last good routes on disk: what a server serves after a restart, before or without Temporal. */
export class RoutesFile {
  constructor(readonly path: string) {}

  /**
   * The tables of the last {@link write}; none where there is no file yet.
   *
   * An unreadable file is set aside under `<path>.invalid`, so that the server starts and the evidence stays.
   *
   * @returns `problem` says why a file was set aside
   */
  async read(): Promise<{ tables: RouteTable[]; problem?: string }> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { tables: [] };
      throw error;
    }
    const parsed = routesFileContent.safeParse(parse(text));
    if (parsed.success) return { tables: parsed.data.tables };
    await rename(this.path, `${this.path}.invalid`);
    return {
      tables: [],
      problem: `${this.path} is not a routes file; it was moved to ${this.path}.invalid, and routes are taken up when the endpoint sends them again`,
    };
  }

  /** Replaces the file in one step that a crash cannot tear. */
  async write(tables: readonly RouteTable[]): Promise<void> {
    const folder = dirname(this.path);
    await mkdir(folder, { recursive: true });
    const temp = `${this.path}.${process.pid}.tmp`;
    try {
      const file = await open(temp, 'w', 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ formatVersion: 1, tables }, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temp, this.path);
    } finally {
      await rm(temp, { force: true });
    }
    // The new name itself is durable only when the folder is.
    const directory = await open(folder, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
