import { beforeAll, describe, expect, it } from 'vitest';
import { NO_SLICES } from '../../contracts/evaluation-report.ts';
import type { ExplanationReport } from '../../contracts/explanation.ts';
import type { ArtifactRef, TableRef } from '../../contracts/refs.ts';
import { expectationResult, type GateResult } from '../../contracts/reports.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { TrainedCandidate } from '../../contracts/stages.ts';
import { judgeGates } from '../../domain/gates.ts';
import { evaluationPlots } from '../../lib/charts/evaluation-plots.ts';
import { explanationPlots } from '../../lib/charts/explanation-plots.ts';
import { runPlots } from '../../lib/charts/run-plots.ts';
import { html, table as htmlTable, Markup, page } from '../../lib/report/html.ts';
import { approvalPage } from '../../lib/report/model-card/approval-page.ts';
import { modelCard } from '../../lib/report/model-card/card.ts';
import type { ReportFacts } from '../../lib/report/model-card/facts.ts';
import { verdict } from '../../lib/report/model-card/summary.ts';
import type { Problem } from '../../lib/statistics/judge.ts';

const EVIL = `<script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;
const SCRIPTS = /<script|<img|onerror='|javascript:/i;

const artifact: ArtifactRef = {
  uri: `cas:${'a'.repeat(64)}`,
  sha256: 'a'.repeat(64),
  bytes: 1,
  mediaType: EVIL.slice(0, 60),
};
const table: TableRef = { artifact, rows: 1_234_567, columns: [{ name: EVIL, type: 'VARCHAR' }] };

const PROBLEM: Problem = {
  task: 'multiclass',
  classNames: [EVIL, 'b"\'&<'],
  positiveClass: null,
  baseline: { classShares: [0.5, 0.5], mean: null },
};

const ATTRIBUTION = {
  output: EVIL,
  answer: 1,
  base: 0.25,
  contributions: [
    { column: EVIL, value: 0.5, error: 0.1 },
    { column: 'b', value: 0.25, error: 0 },
  ],
};

const EXPLANATION: ExplanationReport = {
  schemaVersion: 1,
  metric: 'roc_auc',
  seed: 1,
  rows: 100,
  of: 1_000,
  repeats: 5,
  value: 0.9,
  importance: [
    { column: EVIL, mean: 0.1, sd: 0.01 },
    { column: 'b', mean: 0, sd: 0 },
  ],
  slices: [1, 2].map((place) => ({
    slice: `${EVIL} ${place}`,
    rows: 50,
    value: 0.9,
    importance: [{ column: EVIL, mean: 0.1, sd: 0 }],
  })),
  outputs: ['probability'],
  dependence: (['number', 'date', 'category'] as const).map((kind) => ({
    column: EVIL,
    kind,
    grid: kind === 'category' ? [EVIL, 'b'] : [1, 2],
    means: [[0.1, 0.2]],
    slices: [{ slice: EVIL, rows: 50, means: [0.1, 0.3] }],
    rows: [[0.1, 0.2]],
  })),
  attributions: {
    method: 'sampled',
    unit: 'probability',
    confidence: 0.95,
    rows: 10,
    columns: [{ column: EVIL, mean: 0.2 }],
    largestGap: 0,
    examples: [{ why: 'the highest answer', attribution: ATTRIBUTION }],
  },
  notes: [EVIL],
};

/** Facts in which every text that people, data or programs choose is hostile. */
async function facts(): Promise<ReportFacts> {
  const spec = pipelineSpec.parse({
    name: 'evil',
    description: EVIL,
    task: 'binary',
    data: { sources: { evil: EVIL } },
    columns: { target: EVIL, features: [EVIL] },
  });
  const winner: TrainedCandidate = {
    name: 'lightgbm',
    trainer: 'lightgbm',
    features: 'tree',
    members: [
      {
        candidate: EVIL,
        number: 0,
        trainer: EVIL,
        features: 'tree',
        parameters: {},
        iterations: 10,
        model: artifact,
      },
    ],
    parameters: {},
    libraries: {},
    mlflowRunId: EVIL,
    model: artifact,
    signature: artifact,
    iterations: 10,
    bestIteration: 9,
    seconds: 1.5,
    validation: { roc_auc: 0.9 },
  };
  const test = { roc_auc: 0.91234, log_loss: 0.3 };
  const part = { artifact: table.artifact, rows: table.rows };
  const split = { columns: table.columns, train: part, validation: part, test: part, unused: 3 };
  const matrix = { features: artifact, labels: artifact, rows: 1 };
  const made: ReportFacts = {
    spec,
    modelName: EVIL,
    version: EVIL,
    run: { workflowId: EVIL, runId: EVIL },
    code: { commit: EVIL, dirty: true },
    ingest: {
      table,
      digest: EVIL,
      sources: [{ name: EVIL, kind: 'file', origin: EVIL, snapshot: table, sourceSha256: EVIL }],
      setAside: [{ reason: EVIL, rows: 5 }],
      findings: [],
    },
    split: {
      ...split,
      overlap: [],
      sensitive: false,
      classNames: [EVIL, 'b'],
      positiveClass: EVIL,
      baseline: PROBLEM.baseline,
    },
    validate: {
      table,
      rows: 10,
      results: [
        expectationResult.parse({
          expectation: EVIL,
          severity: 'warn',
          passed: false,
          violations: 1,
          rows: 10,
          observed: EVIL,
          limit: EVIL,
        }),
      ],
      dropped: 1,
      quarantined: 2,
      quarantine: null,
      report: artifact,
      page: artifact,
    },
    protect: {
      table,
      sensitive: true,
      findings: [],
      actions: [{ column: EVIL, action: EVIL, type: EVIL }],
      anonymity: {
        quasiIdentifiers: [EVIL],
        k: 3,
        min: 5,
        classes: 1,
        classesBelow: 1,
        rows: 3,
        rowsBelow: 3,
        shareBelow: 1,
      },
      refusal: null,
      warnings: [EVIL],
    },
    prepared: {
      variants: {
        tree: {
          plan: artifact,
          preprocess: artifact,
          featureNames: artifact,
          featureCount: 1,
          train: matrix,
          validation: matrix,
          folds: [],
          notes: [EVIL],
        },
      },
    },
    train: {
      trained: [winner],
      failed: [{ name: EVIL, trainer: EVIL, error: EVIL }],
      search: {
        metric: 'roc_auc',
        ended: 'trials',
        used: { trials: 1, seconds: 1, cost: 0 },
        candidates: [{ name: EVIL, trained: 1, stopped: 0, failed: 0, best: 0.9 }],
        trials: [0, 1, 2].map((number) => ({
          candidate: EVIL,
          number,
          parameters: {},
          at: 0,
          state: 'trained' as const,
          value: 0.8 + number / 100,
          iterations: 1,
          seconds: 1 + number,
        })),
        notes: [EVIL],
      },
    },
    evaluate: {
      winner,
      signature: { inputs: [{ name: EVIL, kind: 'categorical', optional: true }], outputs: [] },
      candidate: 'c'.repeat(64),
      test,
      intervals: { roc_auc: { low: 0.88, high: 0.94 } },
      train: { roc_auc: 0.95 },
      baseline: { roc_auc: 0.5 },
      champion: {
        version: EVIL,
        test: { roc_auc: 0.9 },
        difference: { roc_auc: { low: -0.02, high: 0.03 } },
      },
      bounds: [],
      slices: {
        ...NO_SLICES,
        declared: [
          { name: EVIL, share: 0.5, rows: 10, metrics: { roc_auc: 0.8 }, intervals: {}, mandatory: false },
        ],
        search: { method: EVIL, rows: 10, features: 1, tried: 3 },
      },
      fairness: [
        {
          column: EVIL,
          measures: { demographic_parity_difference: 0.1 },
          intervals: {},
          extremes: { demographic_parity_difference: { low: EVIL, high: EVIL } },
          groups: ['a', EVIL].map((name) => ({
            name,
            rows: 5,
            selectionRate: 0.5,
            truePositiveRate: 0.5,
            falsePositiveRate: null,
            accuracy: 1,
            meanPrediction: null,
            meanAbsoluteError: null,
          })),
          insufficient: { groups: 1, rows: 2 },
        },
      ],
      robustness: [
        {
          robustness: 'missing',
          by: 1,
          metric: 'roc_auc',
          rows: 10,
          base: 0.9,
          features: [{ feature: EVIL, value: 0.8, loss: 0.1 }],
          tried: 1,
        },
      ],
      footprint: { modelBytes: 1_234, latency: { rows: 10, p50_ms: 1, p95_ms: 2, p99_ms: 3 } },
      details: null,
      samples: artifact,
      plots: [],
      report: artifact,
    },
    gates: judgeGates(
      [
        { metric: 'roc_auc', min: 0.85, by: 0 },
        { metric: 'brier_score', betterThan: 'champion', by: 0 },
      ],
      { test, train: {}, baseline: {}, champion: { roc_auc: 0.9 } },
    ),
    explanation: EXPLANATION,
    notExplained: null,
    details: null,
    plots: [],
  };
  const plots = [
    await evaluationPlots(PROBLEM, Int32Array.from([0, 1]), Float64Array.from([0.9, 0.1, 0.2, 0.8])),
    await explanationPlots(EXPLANATION),
    await runPlots(made.evaluate, made.train, 'roc_auc'),
  ].flat();
  return { ...made, plots };
}

/** Drawn once; each test takes a copy. */
let drawn: ReportFacts;
beforeAll(async () => {
  drawn = await facts();
}, 120_000);
const copy = (): ReportFacts => structuredClone(drawn);

const VOID = new Set(['meta', 'br', 'hr', 'img', 'input', 'link']);

/** The names of all elements, in order; throws where tags do not match or a bare `<` or `&` stands in the text. */
function elements(markup: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  const body = markup
    .replace(/^<!doctype html>\n/, '')
    .replace(/<style[^>]*>([\s\S]*?)<\/style>/g, (_style, css: string) => {
      if (css.replace(/<!\[CDATA\[/g, '').includes('<')) throw new Error('markup inside of a style');
      return '<style></style>';
    });
  const rest = body.replace(
    /<(\/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*)\s*(\/?)>/g,
    (_tag, end, name, _attributes, closed) => {
      names.push(name);
      if (end) {
        const last = open.pop();
        if (last !== name) throw new Error(`</${name}> closes <${last}>`);
      } else if (!closed && !VOID.has(name)) open.push(name);
      return '';
    },
  );
  if (open.length > 0) throw new Error(`left open: ${open.join(', ')}`);
  const bare = /[<>]|&(?!(?:[a-z]+|#\d+|#x[\da-f]+);)/i.exec(rest);
  if (bare)
    throw new Error(`bare ${bare[0]} near ${rest.slice(Math.max(0, bare.index - 40), bare.index + 40)}`);
  return names;
}

describe.each([
  ['the model card', modelCard],
  ['the approval page', approvalPage],
])('%s', (_name, render) => {
  it('is well-formed and runs nothing that a name or a description says', () => {
    const text = render(copy());
    expect(text).not.toMatch(SCRIPTS);
    const names = elements(text);
    expect(new Set(names)).toContain('svg');
    expect(names).not.toContain('script');
    expect(names).not.toContain('img');
    expect(text).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    expect(text).toContain('&amp;amp;');
  });

  it('loads nothing from anywhere', () =>
    expect(render(copy()).replaceAll(/xmlns(:xlink)?="[^"]+"/g, '')).not.toMatch(
      /<[a-z][^>]*\s(?:src|(?:xlink:)?href)="(?!#)|@import|url\((?!#)|https?:/i,
    ));

  it('holds the numbers', () => {
    const text = render(copy());
    expect(text).toContain('0.9123');
    expect(text).toContain('1,234,567');
    expect(text).toContain('0.8800 to 0.9400');
    expect(text).toContain('-0.0200 to 0.0300');
    expect(text).toContain('roc_auc');
    expect(text).toMatch(/class="pill passed">passed/);
    expect(text).toMatch(/class="pill failed">failed/);
  });
});

describe('the words about the verdict', () => {
  const of = (...verdicts: GateResult['verdict'][]) =>
    verdict({
      gates: {
        passed: !verdicts.includes('failed'),
        results: verdicts.map((one) => ({
          gate: { metric: 'roc_auc', min: 0.5, by: 0 },
          condition: 'roc_auc >= 0.5',
          required: '>= 0.5',
          verdict: one,
          passed: one === 'passed',
          observed: null,
          limit: null,
          margin: null,
          interval: null,
        })),
      },
    });

  it.each([
    [['passed', 'passed'], 'All 2 gates passed', 'good'],
    [['insufficient'], '0 of 1 gates passed, 1 not judged', 'warn'],
    [
      ['passed', 'undecided', 'insufficient'],
      '1 of 3 gates passed, 1 left to the approver, 1 not judged',
      'warn',
    ],
    [['passed', 'failed', 'insufficient'], '1 of 3 gates failed', 'bad'],
  ] as const)('count as passed what passed alone: %j', (verdicts, text, tone) =>
    expect(of(...verdicts)).toEqual({ text, tone }),
  );
});

describe('the approval page', () => {
  it('says what changes, or that there is no champion yet', () => {
    expect(approvalPage(copy())).toContain('from 0.9000');
    expect(approvalPage(copy())).toContain(
      '95 % confidence the difference on such rows lies between -0.0200 and 0.0300',
    );
    const first = copy();
    first.evaluate.champion = null;
    expect(approvalPage(first)).toContain('There is no champion yet');
  });

  it('binds the command to the candidate', () =>
    expect(approvalPage(copy())).toContain('&quot;candidate&quot;:&quot;cccccccccccc'));
});

describe('charts', () => {
  it('are the same file each time', async () => expect((await facts()).plots).toEqual(drawn.plots));

  it('escape what people, data and programs call things', () => {
    expect(drawn.plots.length).toBeGreaterThan(12);
    for (const { svg, name } of drawn.plots) {
      expect(elements(svg), name).not.toContain('script');
      expect(svg, name).not.toMatch(SCRIPTS);
      expect(svg, name).not.toMatch(/(?:href|src)="(?!#)/);
      expect(svg, name).toMatch(/^<svg role="img" aria-label="[^"]+"/);
    }
  });

  it('share no name with another chart on the same page', async () => {
    const binary: Problem = { ...PROBLEM, task: 'binary', classNames: ['a', 'b'], positiveClass: 'b' };
    const labels = Int32Array.from([0, 1, 1]);
    const plots = await evaluationPlots(binary, labels, Float64Array.from([0.2, 0.7, 0.9]));
    expect(plots.map(({ name }) => name)).toEqual([
      'roc',
      'precision-recall',
      'calibration',
      'scores',
      'threshold',
      'confusion',
    ]);
    const ids = [...plots, ...drawn.plots].flatMap(({ svg }) => [
      ...new Set([...svg.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
    ]);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('html', () => {
  it('escapes every value that is not markup', () => {
    expect(
      html`<p title="${'"><b>'}">${[1, null, undefined, 'a < b', new Markup('<i>x</i>')]}</p>`.text,
    ).toBe('<p title="&quot;&gt;&lt;b&gt;">1a &lt; b<i>x</i></p>');
    expect(page(EVIL, html`x`)).not.toMatch(SCRIPTS);
    expect(htmlTable([EVIL], [[EVIL, 0.12345]]).text).toContain('<td class="number">0.1235</td>');
  });

  it('the checker of these tests finds what is not well-formed', () => {
    for (const wrong of [
      '<p>',
      '<p></b>',
      'a < b',
      'a & b',
      '<p><script></p></script>',
      '<a href="x<y"></a>',
    ])
      expect(() => elements(wrong), wrong).toThrow();
  });
});
