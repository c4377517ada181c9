import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';

const MANIFEST = 'manifest.json';
/** The folder inside the archive that becomes the data directory. */
export const DATA = 'data';

const manifest = z.strictObject({
  format: z.literal('perennial-backup'),
  version: z.literal(1),
  /** ISO 8601, UTC. */
  createdAt: z.string(),
  /** Paths below `data/`, with `/`. */
  files: z.array(
    z.strictObject({ path: z.string(), bytes: z.number().int().nonnegative(), sha256: z.string() }),
  ),
});
export type BackupManifest = z.infer<typeof manifest>;

/**
 * Describes every file below `<folder>/data` and packs the folder with the system's `tar` (GNU and BSD alike).
 *
 * @param folder holds `data/`; the manifest is written beside it
 * @param archive the file to write, `.tar.gz`
 */
export async function pack(folder: string, archive: string): Promise<BackupManifest> {
  const files = await describe(join(folder, DATA));
  const content: BackupManifest = {
    format: 'perennial-backup',
    version: 1,
    createdAt: new Date().toISOString(),
    files,
  };
  await writeFile(join(folder, MANIFEST), `${JSON.stringify(content, null, 1)}\n`, { mode: 0o600 });
  await tar(['-c', '-z', '-f', archive, '-C', folder, MANIFEST, DATA]);
  return content;
}

/**
 * Unpacks an archive and compares every file with the manifest.
 *
 * @param folder an empty folder
 * @throws PerennialError `ArtifactCorrupt` where the archive is not a whole backup: a file is missing, added or changed,
 *   or is something else than a file
 */
export async function unpack(archive: string, folder: string): Promise<BackupManifest> {
  await tar(['-x', '-z', '-f', archive, '-C', folder, '--no-same-owner']);
  const content = await readManifest(join(folder, MANIFEST), archive);
  const found = new Map((await describe(join(folder, DATA))).map((file) => [file.path, file]));
  for (const file of content.files) {
    const other = found.get(file.path);
    if (!other) throw corrupt(archive, `it lacks ${file.path}`);
    if (other.sha256 !== file.sha256)
      throw corrupt(archive, `${file.path} does not have the digest of the manifest`);
    found.delete(file.path);
  }
  const [extra] = found.keys();
  if (extra !== undefined) throw corrupt(archive, `${extra} is not in the manifest`);
  return content;
}

async function readManifest(path: string, archive: string): Promise<BackupManifest> {
  try {
    return manifest.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    throw corrupt(archive, 'its manifest is missing or of another version');
  }
}

/** Files below a folder, sorted by path, with their digests. Anything else than files and folders is refused. */
async function describe(folder: string): Promise<BackupManifest['files']> {
  const files: BackupManifest['files'] = [];
  for (const name of (await readdir(folder, { recursive: true }).catch(() => [])).sort()) {
    const path = join(folder, name);
    const entry = await lstat(path);
    if (entry.isDirectory()) continue;
    if (!entry.isFile())
      throw new PerennialError(
        'ArtifactCorrupt',
        `${path} is neither a file nor a folder; backups hold nothing else.`,
      );
    files.push({ path: name.replaceAll('\\', '/'), bytes: entry.size, sha256: await digest(path) });
  }
  return files;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

async function tar(args: string[]): Promise<void> {
  try {
    // macOS adds its own metadata files unless told not to.
    await promisify(execFile)('tar', args, {
      env: { ...process.env, COPYFILE_DISABLE: '1' },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const words =
      error instanceof Error ? error.message.trim().split('\n').slice(-2).join(' ') : String(error);
    throw new PerennialError(
      'ArtifactCorrupt',
      `tar failed: ${words}. Check that the file is a backup and that the disk has room.`,
    );
  }
}

function corrupt(archive: string, why: string): PerennialError {
  return new PerennialError(
    'ArtifactCorrupt',
    `${archive} is not a whole Perennial backup: ${why}. Nothing was restored; use another backup.`,
  );
}
