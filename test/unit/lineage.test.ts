import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { versionDescription } from '../../activities/version-description.ts';
import { originTree, stateWords } from '../../client/lineage-tree.ts';
import { usesTree } from '../../client/lineage-uses.ts';
import type { TracedVersion } from '../../client/model-versions.ts';
import { cut, type TreeNode, treeText, wrapped } from '../../client/tree.ts';
import { artifactState, parseLineage } from '../../contracts/lineage.ts';
import { routeTable } from '../../contracts/serving.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { artifactStates } from '../../lib/lineage/artifact-states.ts';
import { lineage, registerInput, storedArtifact } from '../support/lineage-samples.ts';
import { artifact } from '../support/samples.ts';

/** What a person sees of a tree, without colours. */
const visible = (tree: TreeNode, columns: number) => stripVTControlCharacters(treeText(tree, columns));

const traced = (): TracedVersion => ({
  name: 'churn',
  version: '3',
  aliases: ['champion'],
  outcome: 'deployed',
  lineage: lineage(),
});

const labels = (node: TreeNode): string[] => [node.label, ...(node.children ?? []).flatMap(labels)];
const path = (node: TreeNode, ...begins: string[]): TreeNode => {
  const [begin, ...rest] = begins;
  if (begin === undefined) return node;
  const child = node.children?.find(({ label }) => label.startsWith(begin));
  if (!child) throw new Error(`no ${begin} below ${node.label}: ${labels(node).join(', ')}`);
  return path(child, ...rest);
};

describe('lineage.json', () => {
  it('is read as it was written', () => {
    const written = lineage();
    expect(parseLineage(JSON.stringify(written), 'churn/3')).toEqual(written);
  });

  it('of another schema says which version, and what to do', () => {
    expect(() => parseLineage('{"schemaVersion":1}', 'version 3 of churn')).toThrow(
      /^version 3 of churn has a lineage.json that is not of schema 2: .*use that one, or train/,
    );
  });

  it('holds the spec with its digest, which the order of keys does not change', () => {
    const { spec } = lineage();
    expect(pipelineSpec.parse(spec.content)).toEqual(spec.content);
    const turned = Object.fromEntries(Object.entries(spec.content).reverse());
    expect(lineage(turned).spec.sha256).toBe(spec.sha256);
    expect(lineage({ description: 'another one' }).spec.sha256).not.toBe(spec.sha256);
  });
});

describe('the description of a version', () => {
  it('says what it is, how good, against which gates, and where to read on', () => {
    const input = registerInput({ description: 'Who leaves next month' });
    const text = versionDescription(input);
    expect(text).toMatch(
      /^\*\*lightgbm-7\*\* \(lightgbm, 120 iterations\): roc_auc \*\*0\.9000\*\* on 200 test rows\./,
    );
    expect(text).toContain('Who leaves next month');
    expect(text).toContain(
      '| roc_auc (higher is better)&emsp; | 0.9000&emsp; | 0.8800 to 0.9200&emsp; | 0.5000 |',
    );
    for (const { condition } of input.gates.results) expect(text).toContain(condition);
    const [gate] = input.gates.results;
    if (!gate) throw new Error('no gate');
    const open = { ...gate, condition: 'open', passed: false, verdict: 'insufficient' as const };
    const judged = { passed: true, results: [gate, open] };
    expect(versionDescription({ ...input, gates: judged })).toMatch(/\| open.* \| insufficient \|$/m);
    expect(text).toContain(input.tracking.url);
    expect(text).toContain('customers (1,010 rows)');
  });

  it('fits into what MLflow keeps', () => {
    const long = registerInput({ description: 'x'.repeat(3_000) });
    const [gate] = long.gates.results;
    if (!gate) throw new Error('no gate');
    const results = Array.from({ length: 50 }, () => ({ ...gate, note: 'y'.repeat(200) }));
    const text = versionDescription({ ...long, gates: { passed: true, results } });
    expect(text.length).toBeLessThanOrEqual(5_000);
  });
});

describe('the tree of a version', () => {
  it('goes from the version to the snapshots, without stages that changed nothing', () => {
    const { lineage: of } = traced();
    const same = { ...of, data: { ...of.data, validated: { ...of.data.table } } };
    const tree = originTree({ traced: { ...traced(), lineage: same }, states: new Map(), endpoint: null });
    const split = path(tree, 'model', 'trial lightgbm-7', 'features', 'split');
    expect(split.facts).toBe('train 600, validation 200, test 200');
    const table = path(split, 'protected', 'table');
    expect(table.facts).toMatch(/^1,000 rows, 3 columns, SQL [0-9a-f]{12}, 10 rows set aside$/);
    expect(path(table, 'snapshot').facts).toBe('1,010 rows, file customers.csv');
    expect(path(tree, 'model', 'trial', 'parameters').facts).toBe(
      'num_leaves=31, learning_rate=0.1, class_weight=null',
    );
    expect(path(tree, 'endpoint churn').facts).toBe('serves nothing yet');
    expect(labels(tree).some((label) => label.startsWith('validated'))).toBe(false);
  });

  it('says what serves', () => {
    const current = { version: '4', onnx: artifact('m'), signature: { inputs: [], outputs: [] } };
    const table = routeTable.parse({ endpoint: 'churn', generation: 9, routes: [] });
    const facts = (state: object) =>
      path(
        originTree({
          traced: traced(),
          states: new Map(),
          endpoint: { current: null, served: [], table, ...state },
        }),
        'endpoint',
      ).facts;
    expect(facts({ current: { ...current, version: '3' } })).toBe('serves this version, generation 9');
    expect(facts({ current, served: [{ ...current, version: '3' }] })).toBe(
      'serves version 4; this one before',
    );
    expect(facts({})).toBe('serves nothing');
  });

  it('warns of what is gone, and of people who were erased', () => {
    const [ref, other] = [artifact('a'), artifact('b')];
    const words = (state: object): string[] =>
      stateWords(
        ref,
        new Map([[ref.sha256, artifactState.parse({ ...storedArtifact(ref.sha256), ...state })]]),
      );
    expect(words({})).toEqual([]);
    expect(words({ stored: false })).toEqual(['no longer in the artifact store']);
    expect(words({ certificates: ['c1', 'c2'], inForce: other.sha256 })).toEqual([
      `2 people erased since (certificate c1, c2): ${other.sha256.slice(0, 12)} took its place`,
    ]);
    expect(words({ certificates: ['c1'], inForce: null, stored: false })).toEqual([
      '1 person erased since (certificate c1), nothing took its place',
    ]);
  });
});

describe('what became of artifacts', () => {
  const [a, b, c, gone] = ['a', 'b', 'c', 'gone'].map((name) => artifact(name));
  const erasures = (all: [string | undefined, ReturnType<typeof artifact> | null | undefined, string][]) => ({
    async *all() {
      for (const [sha256 = '', replacement = null, certificate] of all)
        yield { sha256, replacement, certificate, mayReturn: false, at: '2026-03-01T00:00:00.000Z' };
    },
  });
  const holds = async (sha256: string): Promise<boolean> => sha256 === c?.sha256;

  it('is followed over several erasures, both ways', async () => {
    const all = erasures([
      [a?.sha256, b, 'c1'],
      [b?.sha256, c, 'c2'],
      [gone?.sha256, null, 'c3'],
    ]);
    const states = await artifactStates({ erasures: all, holds }, [
      ...[a, b, c, gone, artifact('never')].map((ref) => ref?.sha256 ?? ''),
    ]);
    expect(states.map(({ inForce, certificates, stored }) => [inForce, certificates, stored])).toEqual([
      [c?.sha256, ['c1', 'c2'], true],
      [c?.sha256, ['c2'], true],
      [c?.sha256, [], true],
      [null, ['c3'], false],
      [artifact('never').sha256, [], false],
    ]);
    expect(states[2]?.formerly).toEqual([a?.sha256, b?.sha256].sort());
  });

  it('ends where erasures run in a circle', async () => {
    const all = erasures([
      [a?.sha256, b, 'c1'],
      [b?.sha256, a, 'c2'],
    ]);
    const [state] = await artifactStates({ erasures: all, holds }, [a?.sha256 ?? '']);
    expect(state).toMatchObject({ inForce: a?.sha256, formerly: [b?.sha256] });
  });
});

describe('the tree of a snapshot', () => {
  it('has its data, runs and versions', () => {
    const sha256 = artifact('snapshot').sha256;
    const run = {
      workflowId: 'churn-1',
      mlflowRunId: 'r',
      pipeline: 'churn',
      status: 'FINISHED',
      outcome: 'gates_failed',
      startedAt: '2026-03-01T10:20:30.000Z',
      reproduces: null,
      version: { name: 'churn', version: '2', aliases: ['champion'], outcome: 'deployed', deleted: false },
    };
    const tree = usesTree(
      {
        sha256,
        source: 'customers',
        rows: 10,
        tables: [
          {
            digest: 'd'.repeat(64),
            runs: [run, { ...run, version: null, outcome: null, status: 'RUNNING' }],
          },
        ],
      },
      new Map([[sha256, { ...storedArtifact(sha256), formerly: ['e'.repeat(64)] }]]),
    );
    expect(visible(tree, 80).split('\n')).toEqual([
      `snapshot ${sha256.slice(0, 12)} of customers  10 rows, took the place of eeeeeeeeeeee`,
      '└─ data dddddddddddd  2 runs',
      '   ├─ run churn-1  gates failed, 2026-03-01 10:20',
      '   │  └─ churn version 2  champion, deployed',
      '   └─ run churn-1  running, 2026-03-01 10:20',
    ]);
  });
});

describe('a tree on a terminal', () => {
  it.each([40, 80, 120])('keeps to %d columns', (width) => {
    const tree = originTree({ traced: traced(), states: new Map(), endpoint: null });
    for (const line of visible(tree, width).split('\n')) expect(line.length).toBeLessThanOrEqual(width);
  });

  it('cuts nothing where there is no terminal', () => {
    const tree = originTree({ traced: traced(), states: new Map(), endpoint: null });
    expect(visible(tree, Number.POSITIVE_INFINITY)).not.toContain('…');
  });

  it('wraps warnings between the branches', () => {
    const tree = {
      label: 'root',
      children: [{ label: 'a', warning: 'one two three four five six seven eight' }, { label: 'b' }],
    };
    expect(visible(tree, 30).split('\n')).toEqual([
      'root',
      '├─ a',
      '│     ! one two three four',
      '│       five six seven eight',
      '└─ b',
    ]);
  });

  it('cut and wrapped', () => {
    expect([cut('abcdef', 6), cut('abcdefg', 6)]).toEqual(['abcdef', 'abcde…']);
    expect(wrapped('a verylongword b', 5)).toEqual(['a', 'verylongword', 'b']);
  });
});
