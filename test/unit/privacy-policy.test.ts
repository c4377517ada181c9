import { describe, expect, it } from 'vitest';
import { issueLines } from '../../contracts/issues.ts';
import type { AnonymityResult, PersonalFinding } from '../../contracts/privacy.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { describeFinding, identifyingColumns, judgeAnonymity, judgeFindings } from '../../domain/privacy.ts';
import { maskValue } from '../../lib/privacy/mask.ts';
import { PersonalColumns } from '../../lib/privacy/personal-columns.ts';
import { smallSpec } from '../support/samples.ts';

const KEY = '${env:PERENNIAL_SECRET_KEY}';

/** What is said about a spec with this privacy part; nothing where it is right. */
const said = (privacy: object, more: object = {}): string[] => {
  const spec = { ...smallSpec(), ...more, privacy };
  const parsed = pipelineSpec.safeParse(spec);
  return parsed.success ? [] : issueLines(parsed.error, spec);
};

describe('the privacy part of a spec', () => {
  it('is there where it is left out: detection runs on every run', () => {
    expect(pipelineSpec.parse(smallSpec()).privacy).toEqual({
      subject: [],
      subjectIn: {},
      columns: {},
      keyVersion: 'v1',
      detection: { verified: 'stop', likely: 'warn', minConfidence: 0.5 },
    });
  });

  it('takes short and long forms', () => {
    const { columns, subject } = privacySpec.parse({
      subject: 'id',
      columns: {
        id: { action: 'pseudonym' },
        name: 'drop',
        phone: { kind: 'phone', action: 'mask', region: 'DE' },
        age: { action: { bins: [0, 18] } },
      },
      pseudonymKey: KEY,
    });
    expect(subject).toEqual(['id']);
    expect(columns.name).toEqual({ action: 'drop' });
    expect(columns.phone).toEqual({ kind: 'phone', action: 'mask', region: 'DE' });
  });

  it.each<[object, object, RegExp]>([
    [
      { columns: { target: 'drop' } },
      { columns: { target: 'target' } },
      /privacy\.columns\.target: drop does not go together with columns\.target/,
    ],
    [{ columns: { id: 'drop' } }, { columns: { target: 't', entity: 'id' } }, /columns\.entity/],
    [{ columns: { at: 'drop' } }, { columns: { target: 't', timestamp: 'at' } }, /columns\.timestamp/],
    [{ columns: { a: 'drop' } }, { columns: { target: 't', features: ['a'] } }, /columns\.features/],
    [{ columns: { a: 'drop' } }, { features: { columns: { a: 'numeric' } } }, /features\.columns/],
    [
      { columns: { a: 'mask' } },
      { columns: { target: 't', features: ['a'] } },
      /mask does not go together with columns\.features/,
    ],
    [
      { columns: { a: 'pseudonym' }, pseudonymKey: KEY },
      { features: { columns: { a: { kind: 'numeric' } } } },
      /pseudonym does not go together with features\.columns as numeric/,
    ],
    [
      { columns: { a: { action: { bins: [0, 1] } } } },
      { features: { columns: { a: 'numeric' } } },
      /bins does not go together/,
    ],
    [{ columns: { a: 'pseudonym' } }, {}, /pseudonym needs privacy\.pseudonymKey/],
    [{ columns: { a: 'drop' }, subject: 'a' }, {}, /privacy\.subject/],
    [{ subject: 'nobody' }, {}, /nobody is neither in columns\.entity nor in privacy\.columns/],
    [{ columns: { a: 'drop' }, kAnonymity: { quasiIdentifiers: ['a'] } }, {}, /quasiIdentifiers/],
    [{ columns: { a: { kind: 'email', action: 'drop', region: 'DE' } } }, {}, /only kind phone has a region/],
    [{ pseudonymKey: 'hunter2-hunter2' }, {}, /the reference of a secret/],
    [{ pseudonymKey: '${env:HOME}' }, {}, /privacy\.pseudonymKey/],
    [{ columns: { a: { action: { bins: [1, 1] } } } }, {}, /the edges rise/],
    [{ columns: { a: { action: { topCode: 1, bottomCode: 2 } } } }, {}, /bottomCode is less than topCode/],
    [{ columns: { a: { action: {} } } }, {}, /privacy\.columns\.a/],
  ])('%o with %o is refused', (privacy, more, words) => {
    const lines = said(privacy, more);
    expect(lines.join('\n')).toMatch(words);
    expect(lines.join('\n')).not.toContain('hunter2');
  });

  it('lets a pseudonym be entity, subject and category', () => {
    expect(
      said(
        { columns: { id: 'pseudonym' }, subject: 'id', pseudonymKey: KEY },
        { columns: { target: 't', entity: 'id' }, features: { columns: { id: 'categorical' } } },
      ),
    ).toEqual([]);
  });
});

const finding = (more: Partial<PersonalFinding> = {}): PersonalFinding => ({
  column: 'contact',
  kind: 'email',
  confidence: 1,
  share: 0.98,
  verified: true,
  within: 'value',
  evidence: 'by format',
  ...more,
});

describe('the judge of findings', () => {
  const judge = (findings: PersonalFinding[], privacy: object = {}) =>
    judgeFindings(findings, privacySpec.parse(privacy));

  it('stops at verified ones, warns of likely ones', () => {
    const { stop, warn } = judge([
      finding(),
      finding({ column: 'who', kind: 'person_name', verified: false, confidence: 0.8 }),
    ]);
    expect(stop).toEqual([
      'column contact holds e-mail addresses in 98 % of its values, verified by checksum or format: by format. Declare it under privacy.columns with an action, or as keep',
    ]);
    expect(warn).toEqual([
      expect.stringContaining(
        'column who holds names of people in 98 % of its values, likely (confidence 0.80)',
      ),
    ]);
  });

  it('leaves alone what is declared, too uncertain or switched off', () => {
    expect(judge([finding()], { columns: { contact: 'keep' } })).toEqual({ stop: [], warn: [] });
    expect(judge([finding({ confidence: 0.4, verified: false })])).toEqual({ stop: [], warn: [] });
    expect(judge([finding()], { detection: { verified: 'off' } })).toEqual({ stop: [], warn: [] });
    expect(judge([finding()], { detection: { verified: 'warn' } }).stop).toEqual([]);
    // A name that every object has is no declaration.
    expect(judge([finding({ column: 'constructor' })]).stop).toHaveLength(1);
  });

  it('shows no share as none or all that is neither', () => {
    expect(describeFinding(finding({ share: 1e-6, within: 'text' }))).toContain(
      'inside of less than 0.1 % of its texts',
    );
    expect(describeFinding(finding({ share: 0.99999 }))).toContain('more than 99.9 %');
  });
});

describe('the judge of k-anonymity', () => {
  const result: AnonymityResult = {
    quasiIdentifiers: ['zip', 'age'],
    k: 2,
    min: 5,
    classes: 10,
    classesBelow: 3,
    rows: 100,
    rowsBelow: 7,
    shareBelow: 0.07,
  };
  const rule = (more: object = {}) => ({
    quasiIdentifiers: ['zip', 'age'],
    min: 5,
    onViolation: 'stop' as const,
    ...more,
  });

  it('stops below the minimum, says by how much, and may only warn', () => {
    expect(judgeAnonymity(result, rule()).stop).toEqual([
      expect.stringMatching(/only 2 row\(s\) share .* zip, age, at least 5 .* 7 of 100 rows \(7 %\)/),
    ]);
    expect(judgeAnonymity(result, { ...rule(), onViolation: 'warn' }).warn).toHaveLength(1);
    expect(judgeAnonymity({ ...result, k: 5 }, rule())).toEqual({ stop: [], warn: [] });
    expect(judgeAnonymity({ ...result, k: 0, rows: 0 }, rule())).toEqual({ stop: [], warn: [] });
  });
});

it('columns that only tell people apart are named', () => {
  const spec = privacySpec.parse({
    columns: { a: 'mask', b: 'pseudonym', c: 'keep', d: 'drop' },
    pseudonymKey: KEY,
  });
  expect(identifyingColumns(spec)).toEqual(['a', 'b']);
});

it('a masked value says its kind and nothing else, not even its length', () => {
  expect(maskValue('ann@example.com', 'email')).toBe(maskValue('b@c.de', 'email'));
  expect(maskValue('ann@example.com', 'email')).toBe('•••@•••');
  expect([maskValue(42), maskValue(null, 'phone'), maskValue(undefined)]).toEqual(['•••', null, null]);
});

it('a source has personal columns under the names of privacy.subjectIn too', () => {
  const privacy = privacySpec.parse({
    subject: 'customer_id',
    subjectIn: { orders: { customer_id: 'cust' } },
    columns: { name: 'drop' },
  });
  const columns = ['cust', 'amount', 'name', 'customer_id', 'mail'].map((name) => ({
    name,
    type: 'VARCHAR',
  }));
  const people = new PersonalColumns(privacy);
  expect(people.ofSource('orders', columns, [])).toEqual(['cust', 'name', 'customer_id']);
  expect(people.ofSource('shops', columns, [])).toEqual(['name', 'customer_id']);
});
