import pc from 'picocolors';
import type { RunStatus } from '../contracts/lifecycle.ts';
import { failedExpectations } from '../contracts/reports.ts';
import {
  type RuleExamples,
  type ValidationReport,
  validationReport,
} from '../contracts/validation-report.ts';
import type { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { columns } from './output.ts';

/** Failed expectations that are shown with their rows; the page has all. */
const SHOWN = 5;
const WIDEST_CELL = 24;
const MOST_COLUMNS = 6;

/**
 * What the checks of a stopped run found, the worst first, with rows as examples; values of personal columns were
 * masked when the report was made.
 *
 * @returns `undefined` where the run was not stopped by its checks, or its report cannot be had
 */
export async function failedChecks(
  status: RunStatus,
  mlflow: () => MlflowClient,
): Promise<string | undefined> {
  const stopped = status.stages.some((stage) => stage.name === 'validate' && stage.state === 'failed');
  const link = status.links['MLflow run'];
  const runId = /\/runs\/([0-9a-f]+)$/.exec(link ?? '')?.[1];
  if (!stopped || runId === undefined) return undefined;
  try {
    const bytes = await mlflow().artifacts.downloadBytes({ runId, path: 'validation/report.json' });
    const report = validationReport.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return [...failureLines(report), '', `The whole report: ${link}, validation/report.html`].join('\n');
  } catch {
    // The error itself is told anyway; these are details.
    return undefined;
  }
}

function failureLines({ results, examples }: ValidationReport): string[] {
  const failed = failedExpectations(results);
  const lines = failed
    .slice(0, SHOWN)
    .flatMap((result) => [
      '',
      `${pc.red('✗')} ${pc.bold(result.expectation)}: ${result.observed}${result.limit ? `, expected ${result.limit}` : ''}`,
      ...examples.filter((item) => results[item.result] === result).flatMap(exampleLines),
    ]);
  return failed.length > SHOWN ? [...lines, '', `and ${failed.length - SHOWN} more`] : lines;
}

function exampleLines({ columns: names, rows }: RuleExamples): string[] {
  if (rows.length === 0) return [];
  const shown = names.slice(0, MOST_COLUMNS);
  const cell = (value: unknown): string => {
    // Control characters of a value could write anything on a terminal.
    const text = value === null || value === undefined ? '∅' : String(value).replaceAll(/\p{Cc}/gu, '·');
    return text.length > WIDEST_CELL ? `${text.slice(0, WIDEST_CELL - 1)}…` : text;
  };
  const table = columns([
    ['row', ...shown],
    ...rows.map(({ row, values }) => [String(row), ...shown.map((name) => cell(values[name]))]),
  ]);
  return table.split('\n').map((line) => `    ${line}`);
}
