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

describe('references to environment variables in a spec', () => {
  it('are refused with every path', async () => {
    const file = write(
      [
        'name: a',
        'data:',
        '  sources:',
        '    t: ${env:PERENNIAL_SECRET_URL}',
        '  sql: [1, "x ${env:HOME}"]',
      ].join('\n'),
    );
    const refused = expect(loadSpec(file)).rejects;
    await refused.toMatchObject({ code: 'SpecInvalid' });
    await refused.toThrow(
      /data\.sources\.t: secrets are not used by any part of a spec yet[\s\S]*data\.sql\[1\]: /,
    );
  });

  it('are refused in the SQL file, too', async () => {
    writeFileSync(join(folder, 'q.sql'), "SELECT '${env:X}'");
    await expect(loadSpec(write('name: a\ndata: { sql: q.sql }'))).rejects.toThrow(/data\.sql: secrets/);
  });

  it('are not every dollar sign', async () => {
    await expect(loadSpec(write('name: "${x} env: y"'))).rejects.not.toThrow(/secrets/);
  });
});
