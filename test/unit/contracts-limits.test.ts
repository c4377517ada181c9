import { describe, expect, it } from 'vitest';
import {
  inKib,
  jsonBytes,
  MAX_OUTPUT_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_SPEC_BYTES,
} from '../../contracts/payload-limits.ts';
import { type ArtifactRef, MEDIA_TYPES, type MediaType } from '../../contracts/refs.ts';
import { type ExpectationResult, expectationResult, travellingResults } from '../../contracts/reports.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { prepareOutput } from '../../contracts/stages.ts';
import { validationProblem } from '../../domain/validation.ts';
import { artifact, prepared, smallSpec } from '../support/samples.ts';

const rules = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ expect: 'not_null' as const, column: `c${i}` }));

const refusal = (changes: object): string =>
  pipelineSpec
    .safeParse(smallSpec(changes))
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    .join('\n') ?? 'accepted';

describe('what is above a limit is refused with number, limit and remedy', () => {
  it('more than 1,000 rules', () => {
    expect(refusal({ expectations: rules(1_000) })).toBe('accepted');
    expect(refusal({ expectations: rules(1_001) })).toMatch(
      /^expectations: 1001 rules, at most 1000; one rule sql/,
    );
  });

  it('more than 50 sources', () => {
    const sources = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, 'a.csv']));
    expect(refusal({ data: { sources: sources(50), sql: 'SELECT 1' } })).toBe('accepted');
    expect(refusal({ data: { sources: sources(51), sql: 'SELECT 1' } })).toMatch(
      /^data.sources: at most 50 sources/,
    );
  });

  it('a spec whose lists are too long', () => {
    const values = Array.from({ length: 40_000 }, (_, i) => `value ${i}`);
    const text = refusal({ expectations: [{ expect: 'in_set', column: 'a', values }] });
    expect(text).toContain('at most 384 KiB travel with a run; expectations (');
    expect(text).toContain('foreign_key instead of in_set');
    expect(text).not.toContain('value 1');
  });
});

it('all that a run hands on fits into one payload, with room for what is small', () => {
  const outputs = Object.values(MAX_OUTPUT_BYTES).reduce((sum, bytes) => sum + bytes, 0);
  const training = 96 * 1024;
  expect(MAX_SPEC_BYTES + outputs + training).toBeLessThan(MAX_PAYLOAD_BYTES - 64 * 1024);
  expect(jsonBytes({ ü: '\n' })).toBe(Buffer.byteLength(JSON.stringify({ ü: '\n' })));
  expect(inKib(1_025)).toBe('2 KiB');
});

it('20 folds in two variants leave room for notes', () => {
  const ref = (name: string, type: MediaType): ArtifactRef => ({ ...artifact(name, type), bytes: 1e11 });
  const matrix = (name: string) => ({
    features: ref(`${name} features`, MEDIA_TYPES.npy),
    labels: ref(`${name} labels`, MEDIA_TYPES.npy),
    rows: 1e9,
  });
  const folds = Array.from({ length: 20 }, (_, fold) => ({
    preprocess: ref(`graph ${fold}`, MEDIA_TYPES.onnx),
    featureNames: ref(`names ${fold}`, MEDIA_TYPES.json),
    featureCount: 10_000,
    train: matrix(`train ${fold}`),
    validation: matrix(`validation ${fold}`),
  }));
  const { tree, linear } = prepared.variants;
  const range = { from: 1e9, before: 1e9 };
  const output = prepareOutput.parse({
    variants: { tree: { ...tree, folds }, linear: { ...linear, folds } },
    crossValidation: {
      table: { artifact: ref('folds', MEDIA_TYPES.parquet), rows: 1e9 },
      folds: folds.map(() => ({ train: [range, range], validation: range })),
      notes: [],
    },
  });
  expect(jsonBytes(output)).toBeGreaterThan(56 * 1024);
  expect(jsonBytes(output)).toBeLessThan(MAX_OUTPUT_BYTES.prepare - 32 * 1024);
});

describe('the results that travel', () => {
  const result = (name: string, changes: Partial<ExpectationResult>): ExpectationResult =>
    expectationResult.parse({
      expectation: name,
      severity: 'warn',
      passed: true,
      violations: 0,
      rows: 10,
      ...changes,
    });

  it('hold what stops the run, however much else failed before it', () => {
    const warnings = Array.from({ length: 400 }, (_, i) => result(`warning ${i}`, { passed: false }));
    const passed = Array.from({ length: 400 }, (_, i) => result(`passed ${i}`, {}));
    const all = [...passed, ...warnings, result('not_null id', { passed: false, severity: 'error' })];
    const travelling = travellingResults(all);
    expect(travelling).toHaveLength(150);
    expect(travelling.at(-1)?.expectation).toBe('not_null id');
    expect(validationProblem(travelling)).toContain('not_null id');
  });

  it('are cut where their words are long', () => {
    const columns = Array.from({ length: 500 }, (_, i) => `column ${i}`);
    const long = { columns, observed: 'o'.repeat(9_000), limit: 'l'.repeat(9_000), note: 'n'.repeat(9_000) };
    const all = Array.from({ length: 300 }, (_, i) => result(`${i} ${'x'.repeat(9_000)}`, long));
    const travelling = travellingResults(all);
    expect(jsonBytes(travelling)).toBeLessThan(132 * 1024);
    expect(travelling.length).toBeGreaterThan(40);
    expect(travelling[0]).toMatchObject({ columns: columns.slice(0, 20) });
  });
});
