import type * as stages from '../contracts/stages.ts';
import { failedGates, undecidedGates } from '../domain/gates.ts';

/** One line of numbers for each stage, for the status, the Temporal UI and the CLI. */

const count = (value: number): string => value.toLocaleString('en-US');
const number = (value: number): string => value.toFixed(4);

const metrics = (values: Record<string, number | undefined>): string =>
  Object.entries(values)
    .slice(0, 4)
    .map(([name, value]) => `${name} ${value === undefined ? '–' : number(value)}`)
    .join(', ');

/** Rows that came too late are not part of the data: that must not go unsaid. */
function increment({ name, increment: report }: stages.IngestOutput['sources'][number]): string {
  if (!report) return '';
  const left = report.tooOld + report.withoutWatermark;
  return `; ${name}: ${count(report.new)} new, ${count(report.late)} late${left > 0 ? `, ${count(left)} left out (too old or without a watermark)` : ''}`;
}

export function ingest(output: stages.IngestOutput): string {
  const aside = output.setAside.reduce((sum, item) => sum + item.rows, 0);
  const erased = output.sources.reduce((sum, { suppressed }) => sum + (suppressed ?? 0), 0);
  return [
    `${count(output.table.rows)} rows × ${output.table.columns.length} columns from ${output.sources.length} source(s)`,
    aside > 0 ? `, ${count(aside)} rows set aside` : '',
    erased > 0 ? `, ${count(erased)} rows of erased people left out` : '',
    ...output.sources.map(increment),
  ].join('');
}

export function validate(output: stages.ValidateOutput): string {
  const failed = output.results.filter((result) => !result.passed).length;
  const out = [
    ...(output.dropped > 0 ? [`${count(output.dropped)} rows dropped`] : []),
    ...(output.quarantined > 0 ? [`${count(output.quarantined)} rows quarantined`] : []),
  ];
  return [`${output.results.length} expectations, ${failed} with warnings`, ...out].join(', ');
}

export function protect(output: stages.ProtectOutput): string {
  const done = output.actions.map(({ column, action }) => `${column}: ${action}`);
  return [
    `${output.findings.length} personal column(s)${done.length > 0 ? ` (${done.join(', ')})` : ''}`,
    ...(output.anonymity ? [`k-anonymity ${output.anonymity.k}`] : []),
    ...(output.warnings.length > 0 ? [`${output.warnings.length} warning(s)`] : []),
  ].join(', ');
}

export const split = (output: stages.SplitOutput): string =>
  `train ${count(output.train.rows)}, validation ${count(output.validation.rows)}, test ${count(output.test.rows)}`;

export const prepare = ({ variants, crossValidation }: stages.PrepareOutput): string =>
  [
    ...Object.entries(variants).map(([preset, { featureCount }]) => `${featureCount} features (${preset})`),
    ...(crossValidation ? [`${crossValidation.folds.length} folds`] : []),
  ].join(', ');

export const train = (output: stages.TrainOutput): string =>
  [
    ...output.trained.map((candidate) => `${candidate.name} in ${candidate.seconds.toFixed(1)} s`),
    ...output.failed.map((candidate) => `${candidate.name} failed`),
  ].join(', ');

export const evaluate = (output: stages.EvaluateOutput): string =>
  `${output.winner.name}: ${metrics(output.test)}`;

export const explain = (output: stages.ExplainOutput): string =>
  output.warning ??
  `${output.method === 'tree' ? 'exact' : 'sampled'} attributions; most important: ${
    output.top
      .slice(0, 3)
      .map(({ column, mean }) => `${column} ${number(mean)}`)
      .join(', ') || 'none'
  }`;

export function gates({ passed, results }: stages.GatesOutput): string {
  if (!passed) return failedGates(results).join('; ');
  const undecided = undecidedGates(results);
  const insufficient = results.filter(({ verdict }) => verdict === 'insufficient').length;
  return [
    `${results.filter((result) => result.passed).length} of ${results.length} passed`,
    ...(insufficient > 0 ? [`${insufficient} with too few rows`] : []),
    ...(undecided.length > 0 ? [`the approver decides: ${undecided.join('; ')}`] : []),
  ].join(', ');
}

export const register = (output: stages.RegisterOutput): string =>
  `${output.modelName} version ${output.version}`;

export const approval = (output: stages.ApprovalOutput): string =>
  `${output.decision} by ${output.votes.map((vote) => vote.by).join(', ')}`;

export const precheck = (output: stages.PrecheckOutput): string =>
  output.servers
    .map(
      (server) =>
        `${server.serverId}: ${server.rows} rows ${server.exact ? 'answered exactly as evaluated' : `within ${server.maxDifference.toExponential(1)} of the evaluation`}, p95 ${server.p95Ms.toFixed(1)} ms${server.hostile > 0 ? `, ${server.hostile} hostile inputs survived` : ''}`,
    )
    .join('; ');

export const deploy = (output: stages.DeployOutput): string =>
  output.rollout.outcome === 'promoted'
    ? `version ${output.version} on ${output.servers.length} server(s), generation ${output.generation}${output.previousVersion ? `, before: version ${output.previousVersion}` : ''}`
    : `version ${output.version} ${output.rollout.outcome.replace('_', ' ')}: ${output.rollout.reason}`;
