import { describe, expect, it } from 'vitest';
import type { ColumnComparison } from '../../contracts/distribution-report.ts';
import { type ColumnProfile, type TableProfile, tableProfile } from '../../contracts/profile.ts';
import { type ValidationReport, validationReport } from '../../contracts/validation-report.ts';
import { profilePage } from '../../lib/report/profile-page.ts';
import { validationPage } from '../../lib/report/validation-page.ts';

const EVIL = `<script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;

const column = (change: Partial<ColumnProfile>): ColumnProfile => ({
  name: EVIL,
  type: EVIL,
  kind: 'text',
  values: 90,
  missing: 10,
  distinct: { count: 2, exact: true },
  min: null,
  max: null,
  mean: null,
  std: null,
  zeros: 0,
  negatives: 0,
  infinite: 0,
  whole: false,
  quantiles: null,
  lengths: { min: 1, mean: 2, max: 3, empty: 0 },
  histogram: [],
  top: [{ value: EVIL, rows: 60 }],
  constant: false,
  unique: false,
  order: null,
  pattern: EVIL,
  looksLike: null,
  ...change,
});

const profile: TableProfile = tableProfile.parse({
  schemaVersion: 1,
  rows: 100,
  sampledRows: 100,
  duplicates: 3,
  columns: [
    column({}),
    column({
      name: 'age',
      kind: 'number',
      min: 18,
      max: 90,
      mean: 40.123456,
      std: 3,
      lengths: null,
      pattern: null,
      top: [],
      histogram: [
        { from: 18, to: 50, rows: 70 },
        { from: 50, to: 90, rows: 20 },
      ],
    }),
  ],
  correlations: [{ columns: [EVIL, 'age'], value: 0.99 }],
  warnings: [{ kind: 'likely_id', columns: [EVIL], message: EVIL }],
});

const report: ValidationReport = validationReport.parse({
  schemaVersion: 1,
  asOf: EVIL,
  engine: EVIL,
  table: { rows: 12_345, columns: [{ name: EVIL, type: EVIL }] },
  passed: false,
  results: [
    { expectation: 'row_count fine', severity: 'error', passed: true, violations: 0, rows: 12_345 },
    {
      expectation: 'a warning',
      severity: 'warn',
      passed: false,
      violations: 9_000,
      rows: 12_345,
      share: 9_000 / 12_345,
    },
    {
      expectation: EVIL,
      kind: EVIL,
      on: EVIL,
      columns: [EVIL],
      severity: 'error',
      policy: 'quarantine',
      passed: false,
      violations: 12,
      rows: 12_345,
      share: 12 / 12_345,
      observed: EVIL,
      limit: EVIL,
      note: EVIL,
    },
    {
      expectation: 'worse error',
      severity: 'error',
      passed: false,
      violations: 500,
      rows: 12_345,
      share: 0.04,
    },
  ],
  examples: [
    { result: 2, columns: [EVIL, 'gone'], rows: [{ row: 1_234, values: { [EVIL]: EVIL, gone: null } }] },
  ],
  dropped: 3,
  quarantined: 12,
  kept: 12_330,
});

const comparisons: ColumnComparison[] = [
  {
    name: EVIL,
    kind: 'categorical',
    values: { reference: 10, current: 20 },
    missing: { reference: 0, current: 0.5 },
    psi: 0.321,
    jensenShannon: 0.2,
    ks: null,
    chiSquare: { statistic: 1, dof: 1, pValue: 0.3, cramersV: 0.18 },
    newCategories: { count: 1, rows: 2, share: 0.1, names: [EVIL] },
    bins: [{ label: EVIL, reference: 10, current: 18 }],
  },
];

const VOID = new Set(['meta']);

/** The names of all elements; throws where tags do not match. */
function elements(page: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  const body = page.replace(/^<!doctype html>\n/, '').replace(/<style>[^<]*<\/style>/, '');
  const rest = body.replace(
    /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+(?:="[^"<>]*")?)*)\s*>/g,
    (_tag, end: string, name: string) => {
      if (end) {
        if (open.pop() !== name) throw new Error(`</${name}> closes something else`);
      } else {
        names.push(name);
        if (!VOID.has(name)) open.push(name);
      }
      return '';
    },
  );
  if (open.length > 0) throw new Error(`left open: ${open.join()}`);
  if (/[<>]/.test(rest)) throw new Error(`bare ${rest.slice(Math.max(0, rest.search(/[<>]/) - 40))}`);
  return names;
}

describe.each([
  ['the validation page', () => validationPage({ name: EVIL, report, profile, comparisons })],
  ['the profile page', () => profilePage(EVIL, profile)],
])('%s', (_name, render) => {
  it('is well-formed and runs nothing that data or people say', () => {
    const names = elements(render());
    expect(names).not.toContain('script');
    expect(names).not.toContain('img');
    expect(render()).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
  });

  it('loads nothing from anywhere', () => {
    // What stands within an attribute is text.
    const tags = render().replaceAll(/"[^"]*"/g, '""');
    expect(tags).not.toMatch(/<[a-z][^>]*\s(?:src|href)=/i);
    expect(render()).not.toMatch(/@import|url\(|https?:/i);
  });

  it('can be read without seeing: one h1, captions, words for each picture, no skipped heading', () => {
    const text = render();
    const names = elements(text);
    expect(names.filter((name) => name === 'h1')).toHaveLength(1);
    expect(names.filter((name) => name === 'caption')).toHaveLength(
      names.filter((name) => name === 'table').length,
    );
    for (const [picture] of text.matchAll(/<svg[^>]*>/g))
      expect(picture).toMatch(/role="img" aria-label="[^"]+"/);
    expect(names.filter((name) => /^h\d$/.test(name)).find((name) => name !== 'h1')).toBe('h2');
  });
});

describe('the validation page', () => {
  it('tells what failed first: errors before warnings, the largest share first', () => {
    const text = validationPage({ name: 'people', report });
    const places = [
      'Failed: 2 rules do not hold, and 1 warning',
      'What failed',
      'worse error',
      '&lt;script',
      'a warning',
      'All rules',
    ].map((words) => text.indexOf(words, text.indexOf('<main>') + 250));
    expect(places.every((place) => place > 0)).toBe(true);
    const [, failed, worse, , warning, all] = places;
    expect([failed, worse, warning, all]).toEqual(
      [failed, worse, warning, all].sort((a = 0, b = 0) => a - b),
    );
    expect(text).toContain('500 of 12,345 rows (4 %)');
    expect(text).toContain('1,234');
  });

  it('says once what was counted, and once which source it was in', () => {
    const counted = { severity: 'error', passed: false, violations: 3, rows: 6, share: 0.5, on: 'people' };
    const observed = '3 of 6 rows (50 %)';
    const text = validationPage({
      name: 'people',
      report: validationReport.parse({
        ...report,
        examples: [],
        results: [
          { ...counted, expectation: 'not_null age on people', observed },
          { ...counted, expectation: 'ages are known', observed },
        ],
      }),
    });
    const [, failed = '', rules = ''] = text.split('<h2>');
    expect(failed.match(/3 of 6 rows/g)).toHaveLength(2);
    expect(failed.match(/Source people\./g)).toHaveLength(1);
    expect(rules).toContain('ages are known <span class="soft">on people</span>');
    expect(rules).not.toContain('on people <span class="soft">');
  });

  it('has figures of what was taken out', () => {
    const text = validationPage({ name: 'people', report });
    expect(text).toMatch(/rows in quarantine<\/dt><dd>12</);
    expect(text).toMatch(/rows dropped<\/dt><dd>3</);
    expect(text).toMatch(/rows that go on<\/dt><dd>12,330</);
  });

  it('says that all is well where it is', () => {
    const [first] = report.results;
    const text = validationPage({
      name: 'people',
      report: { ...report, passed: true, results: first ? [first] : [], examples: [] },
    });
    expect(text).toContain('<p class="verdict good">Passed</p>');
    expect(text).not.toContain('What failed');
  });
});
