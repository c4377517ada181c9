import { expect } from 'vitest';
import type { Origin } from '../../client/lineage-tree.ts';
import type { SnapshotUse } from '../../client/lineage-uses.ts';
import type { TracedVersion } from '../../client/model-versions.ts';
import type { VersionComparison } from '../../client/version-comparison.ts';
import type { ArtifactState } from '../../contracts/lineage.ts';
import { type CliOptions, cli, cliJson } from './e2e-cli.ts';

type LineageAnswer = TracedVersion & Pick<Origin, 'endpoint'> & { states: ArtifactState[] };

/**
 * What the command line tells of versions 1 (the champion), 2 (judged against it) and 3 of the bank example, which came
 * of one snapshot; makes version 2 again.
 */
export async function looksBack(model: string, options: CliOptions): Promise<void> {
  const { lineage, endpoint, states } = await cliJson<LineageAnswer>(
    ['lineage', `${model}@champion`],
    options,
  );
  expect(endpoint?.current?.version).toBe('1');
  expect(lineage.data.sources.map(({ name }) => name)).toEqual(['bank']);
  expect(states.every(({ stored, certificates }) => stored && certificates.length === 0)).toBe(true);
  const tree = await cli(['lineage', model, '2'], options);
  expect(tree.stdout).toMatch(
    /^bank-subscription version 2 .*\n├─ endpoint bank-subscription +serves version 1.*\n├─ judged against version 1\n/,
  );
  expect(tree.stdout).toMatch(/└─ snapshot [0-9a-f]{12} of bank {2}45,211 rows, file .*bank\.csv\n/);

  const sha256 = lineage.data.sources[0]?.snapshot.sha256 ?? '';
  for (const question of [
    ['--snapshot', sha256.slice(0, 10)],
    ['--source', 'bank'],
  ]) {
    const [use] = await cliJson<SnapshotUse[]>(['lineage', ...question], options);
    const versions = use?.tables.flatMap(({ runs }) => runs.map(({ version }) => version?.version));
    expect([use?.sha256, new Set(versions)]).toEqual([sha256, new Set(['1', '2', '3'])]);
  }

  const compared = await cliJson<VersionComparison>(['compare', model, '2'], options);
  expect([compared.a.version, compared.b.version, compared.sameTestRows]).toEqual(['2', '1', true]);
  expect(compared.spec.map(({ what }) => what)).toContain('evaluation.gates[0].betterThan');
  const text = await cli(['compare', model, '2'], options);
  expect(text.stdout).toMatch(/\nTEST +VERSION 2 +VERSION 1 \(CHAMPION\) +DIFFERENCE\nroc_auc +0\.\d+ /);

  const again = await cli(['reproduce', model, '2'], options);
  expect(again).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('the model file is the same, byte for byte'),
  });
  expect(again.stdout).toContain('✓ evaluate');

  for (const [args, words] of [
    [['lineage', 'bank-subscriptoin'], `did you mean ${model}?`],
    [['lineage', '--source', 'bnk'], 'did you mean bank?'],
    [['lineage', '--snapshot', '0123456789'], 'no run used a snapshot that begins with 0123456789'],
    [['lineage'], 'name one of: a model, --snapshot, --source'],
    [['compare', model, '9'], 'has no version 9. Versions: 3, 2, 1; aliases: champion (1)'],
    [['reproduce', model, 'chmpion'], 'did you mean champion?'],
  ] as const)
    expect(await cli(args, options)).toMatchObject({ code: 2, stderr: expect.stringContaining(words) });
}
