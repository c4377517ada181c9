import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSpec } from '../../client/spec-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string): string {
  const file = join(folder, 'pipeline.yaml');
  writeFileSync(file, text);
  return file;
}

const SPEC = [
  'name: a',
  'task: binary',
  'columns: { target: y }',
  'data:',
  '  sources:',
  '    t: ${env:PERENNIAL_SECRET_SHARE}/t.csv',
].join('\n');

describe('secrets in a spec', () => {
  it('may stand in the path of a source, which the worker makes whole', async () => {
    const { spec } = await loadSpec(write(SPEC));
    expect(spec.data.sources.t).toMatchObject({ path: '${env:PERENNIAL_SECRET_SHARE}/t.csv' });
  });

  it('are refused elsewhere, and under other names, with the path', async () => {
    const description = 'description: ${env:PERENNIAL_SECRET_X}';
    await expect(loadSpec(write(`${SPEC}\n${description}`))).rejects.toThrow(
      /description: a secret may stand in what opens a source .* or in privacy.pseudonymKey only/,
    );
    await expect(loadSpec(write(SPEC.replace('PERENNIAL_SECRET_SHARE', 'HOME')))).rejects.toThrow(
      /data\.sources\.t\.path: a secret is written \$\{env:PERENNIAL_SECRET_NAME\}/,
    );
  });

  it('are refused in the SQL file, too', async () => {
    writeFileSync(join(folder, 'q.sql'), "SELECT '${env:PERENNIAL_SECRET_X}'");
    await expect(loadSpec(write(`${SPEC}\n  sql: q.sql`))).rejects.toThrow(/data\.sql: a secret may stand/);
  });

  it('are not every dollar sign', async () => {
    const { spec } = await loadSpec(write(`${SPEC}\ndescription: "\${x} env: y"`));
    expect(spec.description).toBe('${x} env: y');
  });
});
