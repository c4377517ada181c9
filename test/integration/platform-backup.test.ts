import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backup, restore } from '../../client/platform/backup.ts';

let folder = '';
let dataDir = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-backup-'));
  dataDir = join(folder, 'data');
  file = join(folder, 'backup.tar.gz');
  for (const path of ['logs', 'bin', 'artifacts/tmp', 'artifacts/sha256/ab'])
    mkdirSync(join(dataDir, path), { recursive: true });
  writeFileSync(join(dataDir, 'logs', 'worker.log'), 'log');
  writeFileSync(join(dataDir, 'bin', 'temporal'), 'program');
  writeFileSync(join(dataDir, 'artifacts', 'tmp', 'half'), 'half');
  writeFileSync(join(dataDir, 'artifacts', 'sha256', 'ab', 'cd'), 'blob');
  writeFileSync(join(dataDir, 'config.json'), '{}');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const filesIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();

/** Unpacks the archive, lets a test change it, and packs it again. */
function tamper(change: (content: string) => void): void {
  const content = mkdtempSync(join(folder, 'tampered-'));
  execFileSync('tar', ['-xzf', file, '-C', content]);
  change(content);
  execFileSync('tar', ['-czf', file, '-C', content, ...readdirSync(content)]);
}

describe('a backup', () => {
  it('holds what cannot be had again, and nothing of this machine', async () => {
    await backup(dataDir, file);
    const result = await restore(file, join(folder, 'other'));
    expect(result.files).toBe(2);
    expect(filesIn(join(folder, 'other'))).toEqual(['cd', 'config.json']);
    expect(readdirSync(folder).sort()).toEqual(['backup.tar.gz', 'data', 'other']);
  });

  it('leaves the keys of encrypted artifacts out, says so, and a restore in place keeps them', async () => {
    expect(await backup(dataDir, file)).toMatchObject({ keyrings: [] });
    const keyring = join(dataDir, 'keyring.json');
    writeFileSync(keyring, 'secret', { mode: 0o600 });
    const written = await backup(dataDir, file);
    expect(written).toMatchObject({ files: 2, keyrings: [keyring] });
    await restore(file, join(folder, 'other'));
    expect(filesIn(join(folder, 'other'))).toEqual(['cd', 'config.json']);
    const { replaced = '' } = await restore(file, dataDir, { force: true });
    for (const path of [keyring, join(replaced, 'keyring.json')]) {
      expect(readFileSync(path, 'utf8')).toBe('secret');
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
  });

  it('leaves a keyring of another name out, copies of keyrings, and what sources answered', async () => {
    mkdirSync(join(dataDir, 'keys'));
    mkdirSync(join(dataDir, 'sources', 'http'), { recursive: true });
    for (const path of ['keys/mine.json', 'keyring.json.bak', 'keyring.json.1', 'sources/http/body'])
      writeFileSync(join(dataDir, path), 'secret');
    symlinkSync(join(dataDir, 'keys', 'mine.json'), join(dataDir, 'linked.json'));
    const keyring = join(dataDir, 'keys', 'mine.json');
    for (const named of [keyring, join(dataDir, 'linked.json')])
      expect(await backup(dataDir, file, { keyring: named })).toMatchObject({
        files: 2,
        keyrings: expect.arrayContaining([named, keyring, join(dataDir, 'keyring.json.bak')]),
      });
    await restore(file, join(folder, 'other'));
    expect(filesIn(join(folder, 'other'))).toEqual(['cd', 'config.json']);
  });

  it('leaves a keyring out that nobody named, by what stands in it, and says so', async () => {
    mkdirSync(join(dataDir, 'config', 'old'), { recursive: true });
    const keys = { current: 'k-1', keys: { 'k-1': randomBytes(32).toString('base64') } };
    const unnamed = join(dataDir, 'config', 'old', 'secrets');
    writeFileSync(unnamed, `\n${JSON.stringify(keys, null, 2)}\n`);
    writeFileSync(join(dataDir, 'config', 'other.json'), '{"current":"k-1","keys":{"k-1":"no key"}}');
    expect(await backup(dataDir, file)).toMatchObject({ files: 3, keyrings: [unnamed] });
    await restore(file, join(folder, 'other'));
    expect(filesIn(join(folder, 'other'))).toEqual(['cd', 'config.json', 'other.json']);
  });

  it('restored in place keeps the keyring that PERENNIAL_KEYRING names in the data directory', async () => {
    mkdirSync(join(dataDir, 'keys'));
    const keyring = join(dataDir, 'keys', 'mine.json');
    writeFileSync(keyring, 'secret', { mode: 0o600 });
    await backup(dataDir, file, { keyring });
    await restore(file, dataDir, { force: true, keyring });
    expect(readFileSync(keyring, 'utf8')).toBe('secret');
    expect(statSync(keyring).mode & 0o777).toBe(0o600);
  });

  it.each([
    [
      'a changed file',
      (content: string) => writeFileSync(join(content, 'data', 'config.json'), '{"a":1}'),
      'config.json',
    ],
    ['a missing file', (content: string) => rmSync(join(content, 'data', 'config.json')), 'lacks'],
    [
      'an added file',
      (content: string) => writeFileSync(join(content, 'data', 'more.json'), ''),
      'more.json',
    ],
    [
      'a link',
      (content: string) => symlinkSync('/etc', join(content, 'data', 'etc')),
      'neither a file nor a folder',
    ],
    ['no manifest', (content: string) => rmSync(join(content, 'manifest.json')), 'manifest'],
  ])('with %s is refused, and nothing has changed', async (_, change, word) => {
    await backup(dataDir, file);
    tamper(change);
    const before = filesIn(dataDir);
    await expect(restore(file, dataDir, { force: true })).rejects.toMatchObject({
      code: 'ArtifactCorrupt',
      message: expect.stringContaining(word),
    });
    expect(filesIn(dataDir)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('data'))).toEqual(['data']);
  });

  it('that was cut off is refused', async () => {
    await backup(dataDir, file);
    writeFileSync(file, readFileSync(file).subarray(0, 100));
    await expect(restore(file, join(folder, 'other'))).rejects.toMatchObject({ code: 'ArtifactCorrupt' });
  });

  it('replaces what is there only when forced, and puts it aside', async () => {
    await backup(dataDir, file);
    writeFileSync(join(dataDir, 'config.json'), '{"newer":true}');
    await expect(restore(file, dataDir)).rejects.toMatchObject({ code: 'InputInvalid' });
    const { replaced } = await restore(file, dataDir, { force: true });
    expect(readFileSync(join(dataDir, 'config.json'), 'utf8')).toBe('{}');
    expect(readFileSync(join(replaced ?? '', 'config.json'), 'utf8')).toBe('{"newer":true}');
    expect(existsSync(join(dataDir, 'bin', 'temporal'))).toBe(true);
  });

  it('follows a folder that lies on another disk, and refuses links further down', async () => {
    mkdirSync(join(folder, 'disk'));
    writeFileSync(join(folder, 'disk', 'log.parquet'), 'rows');
    symlinkSync(join(folder, 'disk'), join(dataDir, 'predictions'));
    await backup(dataDir, file);
    await restore(file, join(folder, 'other'));
    expect(readFileSync(join(folder, 'other', 'predictions', 'log.parquet'), 'utf8')).toBe('rows');
    symlinkSync(join(folder, 'disk'), join(dataDir, 'artifacts', 'elsewhere'));
    await expect(backup(dataDir, file)).rejects.toThrow('is a link');
  });

  it('is not written into the folder it is made of, nor of a folder that is not there', async () => {
    await expect(backup(dataDir, join(dataDir, 'backup.tar.gz'))).rejects.toThrow('inside');
    await expect(backup(join(folder, 'none'), file)).rejects.toThrow('no data directory');
    await expect(restore(join(folder, 'none.tar.gz'), dataDir)).rejects.toThrow('no backup');
  });
});
