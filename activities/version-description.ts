import type { TrackingActivities } from '../contracts/activities.ts';
import { lowerIsBetter, metricName } from '../contracts/spec/evaluation.ts';

type Facts = Pick<
  Parameters<TrackingActivities['register']>[0],
  'spec' | 'code' | 'run' | 'tracking' | 'ingest' | 'split' | 'evaluate' | 'gates'
>;

/** MLflow keeps 5,000 characters of a description. */
const LIMIT = 4_800;
const MAX_GATES = 20;

/** A number for people: four digits after the point, or four that count. */
const shown = (value: number | undefined | null): string =>
  value === undefined || value === null
    ? ''
    : Math.abs(value) >= 1_000 || (value !== 0 && Math.abs(value) < 0.001)
      ? String(Number(value.toPrecision(4)))
      : value.toFixed(4);

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
/** MLflow draws tables without any space between columns. */
const table = (head: string[], rows: string[][]): string =>
  [head.map(cell), head.map(() => '---'), ...rows.map((row) => row.map(cell))]
    .map((row, i) => `| ${row.join(i === 1 ? ' | ' : '&emsp; | ')} |`)
    .join('\n');

/** What a model version is, as Markdown for the MLflow UI: what it was made of, numbers, gates, where to read on. */
export function versionDescription({
  spec,
  code,
  run,
  tracking,
  ingest,
  split,
  evaluate,
  gates,
}: Facts): string {
  const { winner, test, intervals, baseline, champion } = evaluate;
  const first = spec.evaluation.metric;
  const names = metricName.options
    .filter((name) => test[name] !== undefined)
    .sort((a, b) => Number(b === first) - Number(a === first));
  const interval = (name: (typeof names)[number]): string => {
    const found = intervals[name];
    return found ? `${shown(found.low)} to ${shown(found.high)}` : '';
  };
  const rows = (value: number): string => value.toLocaleString('en-US');
  const text = [
    `**${winner.name}** (${winner.trainer}, ${winner.iterations} iterations): ${first} **${shown(test[first])}** on ${rows(split.test.rows)} test rows${champion?.test[first] === undefined ? '' : `; version ${champion.version}, in production then: ${shown(champion.test[first])}`}.`,
    ...(spec.description ? [spec.description] : []),
    table(
      ['metric', 'test', 'interval', 'trivial', ...(champion ? [`version ${champion.version}`] : [])],
      names.map((name) => [
        `${name} (${lowerIsBetter(name) ? 'lower' : 'higher'} is better)`,
        shown(test[name]),
        interval(name),
        shown(baseline[name]),
        ...(champion ? [shown(champion.test[name])] : []),
      ]),
    ),
    ...(gates.results.length === 0
      ? []
      : [
          'Gates:',
          table(
            ['gate', 'got', 'verdict'],
            gates.results
              .slice(0, MAX_GATES)
              .map(({ condition, observed, verdict, note }) => [
                `${condition}${note ? ` (${note})` : ''}`,
                shown(observed),
                verdict,
              ]),
          ),
        ]),
    `Data \`${ingest.digest.slice(0, 12)}\`: ${ingest.sources.map(({ name, snapshot }) => `${name} (${rows(snapshot.rows)} rows)`).join(', ')}; ${rows(split.train.rows)} rows for training. Code ${code.commit ? `\`${code.commit.slice(0, 12)}\`${code.dirty ? ', changed' : ''}` : 'unknown'}.`,
    `Run \`${run.workflowId}\`: [MLflow run](${tracking.url}), [approver's page](${tracking.url}/artifacts/approval.html). The model directory has \`model-card.html\` and \`lineage.json\`; \`perennial lineage ${spec.deployment.endpoint} VERSION\` shows the latter as a tree, \`perennial reproduce\` makes the version again.`,
  ].join('\n\n');
  return text.length > LIMIT ? `${text.slice(0, LIMIT)}…` : text;
}
