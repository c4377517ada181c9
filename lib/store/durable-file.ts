import { type FileHandle, open } from 'node:fs/promises';

/** Writes a new file (mode 0600), on disk when this resolves. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await opened(path, 'wx', async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
}

/** Has a file's content on disk before the file gets its name. */
export const flush = (path: string): Promise<void> => opened(path, 'r+', (file) => file.sync());

async function opened(path: string, flags: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

/** Whether an error of the file system says that there is no such file or folder. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

/** `undefined` where there is no such file; any other error is thrown. */
export const orMissing = (error: unknown): undefined => {
  if (isMissing(error)) return undefined;
  throw error;
};
