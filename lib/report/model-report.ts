import type { MetricValues } from '../../contracts/reports.ts';
import { lowerIsBetter, type MetricName, metricName } from '../../contracts/spec/evaluation.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type {
  EvaluateOutput,
  GatesOutput,
  IngestOutput,
  PrepareOutput,
  ProtectOutput,
  SplitOutput,
  TrainOutput,
  ValidateOutput,
} from '../../contracts/stages.ts';
import { preparedFor } from '../../domain/prepared-features.ts';
import { html, Markup, page, table } from './html.ts';
import { undecidedNotice, verdictTable } from './verdict-page.ts';

/** What a report is made from. */
export interface ReportFacts {
  spec: PipelineSpec;
  modelName: string;
  version: string | null;
  run: { workflowId: string; runId: string };
  code: { commit: string | null; dirty: boolean };
  ingest: IngestOutput;
  validate: ValidateOutput;
  protect: ProtectOutput;
  split: SplitOutput;
  prepared: PrepareOutput;
  train: TrainOutput;
  evaluate: EvaluateOutput;
  gates: GatesOutput;
  /** SVG by plot. */
  plots: { title: string; svg: string }[];
}

const names = (...values: MetricValues[]): MetricName[] =>
  metricName.options.filter((name) => values.some((value) => value[name] !== undefined));

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;

const range = (interval: { low: number; high: number } | undefined): string =>
  interval ? `${interval.low.toFixed(4)} to ${interval.high.toFixed(4)}` : '';

function metricTable({ evaluate, spec }: ReportFacts): Markup {
  const { test, intervals, train, baseline, champion } = evaluate;
  return table(
    [
      'metric',
      'candidate, test',
      `${percent(spec.evaluation.confidence)} interval`,
      'candidate, train',
      'trivial baseline, test',
      ...(champion
        ? [`champion (version ${champion.version}), test`, 'candidate minus champion, interval']
        : []),
    ],
    names(test, train).map((name) => [
      `${name} (${lowerIsBetter(name) ? 'lower' : 'higher'} is better)`,
      test[name],
      range(intervals[name]),
      train[name],
      baseline[name],
      ...(champion ? [champion.test[name], range(champion.difference[name])] : []),
    ]),
  );
}

const gateTable = ({ gates }: ReportFacts): Markup => verdictTable(gates.results);

function candidateTable({ train, evaluate, spec }: ReportFacts): Markup {
  const { metric } = spec.evaluation;
  return table(
    ['candidate', 'trainer', `${metric}, validation`, 'iterations', 'seconds', ''],
    [
      ...train.trained.map((item) => [
        item.name,
        item.trainer,
        item.validation[metric],
        item.bestIteration,
        item.seconds,
        item.name === evaluate.winner.name ? 'chosen' : '',
      ]),
      ...train.failed.map((item) => [
        item.name,
        item.trainer,
        null,
        null,
        null,
        html`<span class="fail">failed</span>: ${item.error.slice(0, 300)}`,
      ]),
    ],
  );
}

const dataTable = ({ ingest }: ReportFacts): Markup =>
  table(
    ['source', 'rows', 'file digest'],
    ingest.sources.map((source) => [
      source.name,
      source.snapshot.rows,
      html`<code>${source.sourceSha256.slice(0, 16)}</code>`,
    ]),
  );

const asideTable = ({ ingest }: ReportFacts): Markup =>
  ingest.setAside.length === 0
    ? html``
    : html`<p>Rows set aside:</p>${table(
        ['reason', 'rows'],
        ingest.setAside.map((item) => [item.reason, item.rows]),
      )}`;

const checksTable = ({ validate }: ReportFacts): Markup =>
  validate.results.length === 0
    ? html`<p>The pipeline has no expectations.</p>`
    : table(
        ['expectation', 'observed', 'expected', ''],
        validate.results.map((result) => [
          result.expectation,
          result.observed,
          result.limit,
          result.passed
            ? html`<span class="pass">holds</span>`
            : html`<span class="fail">${result.severity === 'warn' ? 'warning' : 'fails'}</span>`,
        ]),
      );

const removedLine = ({ validate: { dropped, quarantined } }: ReportFacts): Markup =>
  dropped + quarantined === 0
    ? html``
    : html`<p>${dropped.toLocaleString('en-US')} rows were dropped and ${quarantined.toLocaleString('en-US')} quarantined by these.</p>`;

const privacySection = ({ protect: { actions, findings, anonymity, warnings } }: ReportFacts): Markup => html`
${
  actions.length === 0
    ? html`<p>No column was changed; ${findings.length} column(s) may hold personal data.</p>`
    : table(
        ['personal column', 'what was done'],
        actions.map(({ column, action }) => [column, action]),
      )
}
${anonymity ? html`<p>k-anonymity over ${anonymity.quasiIdentifiers.join(', ')}: ${anonymity.k} (at least ${anonymity.min} asked for).</p>` : html``}
${warnings.map((warning) => html`<p class="muted">${warning}</p>`)}`;

const plots = (facts: ReportFacts): Markup =>
  html`<div class="plots">${facts.plots.map((plot) => html`<figure>${new Markup(plot.svg)}</figure>`)}</div>`;

const provenance = ({ run, code, ingest, prepared, evaluate }: ReportFacts): Markup => {
  const features = preparedFor(prepared, evaluate.winner.features);
  return table(
    ['what', 'which'],
    [
      ['workflow', html`<code>${run.workflowId}</code> run <code>${run.runId}</code>`],
      [
        'code',
        code.commit
          ? html`<code>${code.commit.slice(0, 12)}</code>${code.dirty ? ' with uncommitted changes' : ''}`
          : 'not in a git repository',
      ],
      ['data', html`<code>${ingest.digest.slice(0, 16)}</code>`],
      [
        'features',
        html`<code>${features.preprocess.sha256.slice(0, 16)}</code>, ${features.featureCount} columns`,
      ],
      ['model', html`<code>${evaluate.candidate}</code>`],
    ],
  );
};

const splitLine = ({ split }: ReportFacts): Markup =>
  html`<p>Training ${split.train.rows.toLocaleString('en-US')} rows, validation ${split.validation.rows.toLocaleString('en-US')}, test ${split.test.rows.toLocaleString('en-US')}; ${split.unused.toLocaleString('en-US')} rows belong to no part.</p>`;

const sections = (facts: ReportFacts): Markup => html`
<h2>Quality on the untouched test split</h2>${metricTable(facts)}
<h2>Gates</h2>${gateTable(facts)}
<h2>Plots</h2>${plots(facts)}
<h2>Candidates</h2>${candidateTable(facts)}
<h2>Data</h2>${splitLine(facts)}${dataTable(facts)}${asideTable(facts)}
<h2>Checks of the data</h2>${checksTable(facts)}${removedLine(facts)}
<h2>Personal data</h2>${privacySection(facts)}
<h2>Where it comes from</h2>${provenance(facts)}`;

/** The model card: what the model is, how good it is, and what it was made from. */
export function modelCard(facts: ReportFacts): string {
  const { spec } = facts;
  return page(
    `Model card: ${facts.modelName}`,
    html`<h1>${facts.modelName}</h1><p class="muted">${spec.description || `Predicts ${spec.columns.target} (${spec.task}).`}</p>${sections(facts)}`,
  );
}

function differenceWords({ spec, evaluate }: ReportFacts): string {
  const { metric, confidence } = spec.evaluation;
  const difference = evaluate.champion?.difference[metric];
  return difference === undefined
    ? ''
    : `; with ${percent(confidence)} confidence the difference on such rows lies between ${difference.low.toFixed(4)} and ${difference.high.toFixed(4)}`;
}

/** The page that an approver reads: what is new against the champion, and how to decide. */
export function approvalPage(facts: ReportFacts): string {
  const { spec, evaluate, run } = facts;
  const { metric } = spec.evaluation;
  const { champion } = evaluate;
  const before = champion?.test[metric];
  const after = evaluate.test[metric];
  const change = !champion
    ? 'There is no champion yet: this would be the first version in production.'
    : before === undefined || after === undefined
      ? `Version ${champion.version} is in production, but it cannot be compared: ${champion.notComparable ?? `it has no ${metric}`}.`
      : `${metric} on the test split goes from ${before.toFixed(4)} (version ${champion.version}) to ${after.toFixed(4)}${differenceWords(facts)}.`;
  const review = JSON.stringify({
    decision: 'approve',
    by: 'YOUR NAME',
    reason: 'WHY',
    candidate: evaluate.candidate.slice(0, 12),
  });
  return page(
    `Approve ${facts.modelName} version ${facts.version}`,
    html`<h1>Approve ${facts.modelName} version ${facts.version}?</h1>
<p>${change}</p>
${undecidedNotice(facts.gates.results)}
<p>Candidate <code>${evaluate.candidate.slice(0, 12)}</code>, trained by ${evaluate.winner.trainer}.</p>
<pre>perennial approve ${run.workflowId} --by "YOUR NAME" --reason "WHY"
perennial reject ${run.workflowId} --by "YOUR NAME" --reason "WHY"
temporal workflow update execute --workflow-id ${run.workflowId} --name review --input '${review}'</pre>
${sections(facts)}`,
  );
}
