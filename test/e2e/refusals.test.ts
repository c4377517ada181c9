import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliOptions, cli } from '../support/e2e-cli.ts';
import { ownFolder, removePlatform, UpPlatform } from '../support/e2e-platform.ts';
import { BANK, BANK_SPEC, bankSpecFile } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
const folder = ownFolder('e2e-refusals');
const dataDir = join(folder, 'data');
const options: CliOptions = { dataDir };

beforeAll(() => UpPlatform.up(dataDir, [BANK]), 3 * MINUTE);
afterAll(() => removePlatform(dataDir, folder), MINUTE);

describe.sequential('what the command line refuses', () => {
  const STACK = /^\s+at .*[(:]\d+/m;
  const refused = async (code: number, args: string[], words: string[], where = options) => {
    const answer = await cli(args, where);
    expect({ code: answer.code, stdout: answer.stdout }).toEqual({ code, stdout: '' });
    for (const word of words) expect(answer.stderr).toContain(word);
    expect(answer.stderr).not.toMatch(STACK);
    const json = await cli(['--json', ...args], where);
    expect(json.code).toBe(code);
    return json.stdout ? (JSON.parse(json.stdout) as unknown) : undefined;
  };

  it('a wrong key names its path and the nearest right word', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(
      file,
      readFileSync(BANK_SPEC, 'utf8')
        .replace('positive:', 'postive:')
        .replaceAll(/(bank\.csv|calls\.sql)/g, (name) => (name === 'bank.csv' ? name : join(BANK, name))),
    );
    for (const command of ['check', 'run', 'render']) {
      const json = await refused(2, [command, file], [file, 'columns.postive', 'did you mean "positive"?']);
      expect(json).toMatchObject({ error: { code: 'SpecInvalid' } });
    }
  });

  it('a missing file, run, stage, or option', { timeout: MINUTE }, async () => {
    await refused(2, ['run', join(folder, 'none.yaml')], ['none.yaml', 'no such file']);
    await refused(
      2,
      ['predict', 'bank-subscription', join(folder, 'none.json')],
      ['none.json', 'no such file'],
    );
    for (const command of [['status'], ['cancel'], ['approve', '--by', 'Ada'], ['retry', '--from', 'train']])
      await refused(2, [...command, 'no-such-run'], ['there is no run no-such-run', 'perennial runs']);
    await refused(
      2,
      ['approve', '--by', 'Ada', '--candidate', '00000000', 'no-such-run'],
      ['no run no-such-run'],
    );
    await refused(2, ['rollback', 'no-such-endpoint', '--by', 'Ada'], ['no endpoint no-such-endpoint']);
    await refused(2, ['models', 'no-such-model'], ['no-such-model']);
    expect(await cli(['rnu'], options)).toMatchObject({ code: 2, stderr: expect.stringContaining('run') });
    expect(await cli(['--help'], options)).toMatchObject({ code: 0 });
  });

  it('data outside of the folders that the worker may read', { timeout: MINUTE }, async () => {
    const outside = join(folder, 'rows.csv');
    writeFileSync(outside, 'id,y\n1,true\n2,false\n');
    const file = await bankSpecFile(folder, 'outside', {
      ...{ name: 'outside', data: { sources: { bank: outside } } },
      ...{ columns: { target: 'y', entity: 'id' }, split: undefined },
    });
    const ended = await cli(['run', file, '--approve'], options);
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('rows.csv') });
    expect(ended.stderr).not.toMatch(STACK);
  });

  it('ends with 3 where a gate fails, and says by how much', { timeout: 3 * MINUTE }, async () => {
    const file = await bankSpecFile(folder, 'gates', {
      candidates: ['logistic'],
      evaluation: { gates: [{ metric: 'roc_auc', min: 0.99 }] },
    });
    const ended = await cli(['run', file, '--approve', '--by', 'ci'], options);
    expect(ended.code).toBe(3);
    expect(ended.stdout).toMatch(
      /gates_failed: no deployment: roc_auc >= 0.99: was 0\.\d{4}.*short by 0\.\d{4}/,
    );
  });

  it('no platform', { timeout: MINUTE }, async () => {
    const where = { dataDir: join(folder, 'nothing'), env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } };
    await refused(2, ['runs'], ['no Temporal server answers at 127.0.0.1:1', 'perennial up'], where);
    expect(await cli(['down'], where)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nothing ran'),
    });
  });
});
