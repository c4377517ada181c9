import { describe, expect, it } from 'vitest';
import { reproductionText } from '../../client/reproduction-text.ts';
import { type ErasedSince, reproductionResult } from '../../contracts/reproduction.ts';
import { environmentDifferences, type Reproduced, verdictOf } from '../../domain/reproduction.ts';
import { environment, reproductionPlan } from '../support/lineage-samples.ts';
import * as samples from '../support/samples.ts';

const trained = samples.trained('lightgbm', 'lightgbm');
const made = (changes: Partial<Reproduced> = {}): Reproduced => {
  const features = samples.prepared.variants.tree;
  if (!features) throw new Error('no features');
  return {
    ingest: samples.ingested,
    validate: samples.validated,
    protect: samples.protectedData,
    split: samples.parts,
    features,
    trained,
    evaluate: samples.evaluated(trained),
    ...changes,
  };
};
const NOBODY: ErasedSince = { people: 0, sources: [], certificates: [] };
const verdict = (changes: Partial<Reproduced> = {}, erased = NOBODY) =>
  verdictOf(reproductionPlan().target, made(changes), { erased, environment: [] });
const told = (found: ReturnType<typeof verdict>, width = 80): string =>
  reproductionText(
    reproductionResult.parse({
      ...found,
      modelName: 'churn',
      version: '3',
      run: { workflowId: 'w', mlflowRunId: 'r', url: 'http://mlflow.test' },
      seconds: 12,
    }),
    width,
  );

describe('the verdict on a reproduction', () => {
  it('identical: all digests and numbers are the same', () => {
    const found = verdict();
    expect(found).toMatchObject({ verdict: 'identical', departed: null });
    expect(found.links.every(({ same }) => same)).toBe(true);
    expect(told(found)).toMatch(/the model file is the same, byte for byte\n\nall 6 metrics are the same/);
    // No more is said than was compared.
    const words = told(found).replace(/\s+/g, ' ');
    expect(words).toContain('the workers that registered the version and that opened its reproduction');
    expect(words).toContain('Not compared: workers that only trained');
  });

  it('equal: another file that answers the same', () => {
    const found = verdict({ trained: { ...trained, model: samples.artifact('other bytes') } });
    expect(found).toMatchObject({ verdict: 'equal', departed: 'model' });
    expect(told(found)).toContain('the same metrics, but another model file');
  });

  it('different: the first link that departed is named, with the numbers', () => {
    const found = verdict({
      split: { ...samples.parts, test: { artifact: samples.artifact('other'), rows: 190 } },
      trained: { ...trained, model: samples.artifact('other bytes') },
      evaluate: { ...samples.evaluated(trained), test: { roc_auc: 0.7 } },
    });
    expect(found).toMatchObject({ verdict: 'different', departed: 'split' });
    expect(found.links.filter(({ same }) => !same).map(({ link }) => link)).toEqual(['split', 'model']);
    expect(found.metrics).toContainEqual({ split: 'test', name: 'roc_auc', was: 0.9, is: 0.7 });
    expect(found.metrics).toContainEqual({ split: 'test', name: 'log_loss', was: 0.32, is: null });
    const text = told(found);
    expect(text).toContain('departed at: the split');
    expect(text).toMatch(/test roc_auc +0\.9 +0\.7/);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('says that people were erased since', () => {
    const found = verdict({}, { people: 2, sources: ['customers'], certificates: ['c1', 'c2'] });
    expect(told(found, 200)).toContain(
      'reproduced on data without 2 people who were erased since (customers): numbers may differ',
    );
  });
});

describe('what software and machine differ in', () => {
  it('is nothing where they are the same', () => {
    expect(environmentDifferences(environment, structuredClone(environment))).toEqual([]);
  });

  it('is what may explain another result', () => {
    const now = structuredClone(environment);
    now.packages.python.onnx = '1.21.0';
    now.machine.cpu = 'Another processor';
    now.locks.npm = 'f'.repeat(64);
    expect(environmentDifferences(environment, now)).toEqual([
      { what: 'python onnx', was: '1.20.0', is: '1.21.0' },
      { what: 'package-lock.json', was: '', is: 'f'.repeat(64) },
      { what: 'cpu', was: 'A processor', is: 'Another processor' },
    ]);
  });
});
