import type { DetectorState, ObservedWindow, WindowReport } from '../../contracts/monitoring.ts';
import type { ConceptSpec } from '../../contracts/spec/monitoring.ts';
import type { RowMetric } from '../../contracts/spec/rollout.ts';
import { createDetector } from '../../domain/monitoring/detectors/create-detector.ts';
import type { Database } from '../duckdb/database.ts';
import { rowMetricSql } from '../predictions/row-metric-sql.ts';
import type { WatchedProblem } from './problem.ts';

/** Changes that a report names, the latest. */
const MOST_CHANGES = 100;

/** What of a window's truth the detector sees. */
export interface ConceptQuestion {
  spec: ConceptSpec;
  problem: WatchedProblem;
  /** A relation like the view `labelled`; what lies before the window only trains the detector. */
  errors: string;
  window: ObservedWindow;
  /** The version that answered: the detector of another one begins anew. */
  version: string;
  detector: DetectorState;
  /** Of a regression: errors are counted in units of the reference's mean absolute error. */
  usualError: number | undefined;
}

/**
 * Goes through the errors of a window in the order of time. Binary: squared differences of probability and truth;
 * multi-class and `ddm`: 1 where the label was wrong; regression: absolute errors.
 *
 * @returns what was found, and what the next window goes on with
 */
export async function conceptOf(
  database: Database,
  { spec, problem, errors, window, version, detector, usualError }: ConceptQuestion,
): Promise<{ concept: NonNullable<WindowReport['concept']>; detector: DetectorState }> {
  const state = detector?.version === version ? detector.state : undefined;
  const watching = createDetector(spec, state);
  const columns = new Set((await database.columns(errors)).map(({ name }) => name));
  const metric = errorMetric(spec, problem);
  const value = rowMetricSql(metric, problem, columns);
  const error = metric === 'accuracy' ? `1 - (${value})` : `(${value})`;
  const scale = problem.task === 'regression' && usualError ? usualError : 1;
  const from = Date.parse(window.from);
  let labels = 0;
  const changes: NonNullable<WindowReport['concept']>['changes'] = [];
  for await (const chunk of database.streamed(
    `SELECT epoch_ms(time)::DOUBLE AS at, error::DOUBLE AS error
     FROM (SELECT time, ${error} AS error${columns.has('row') ? ', row' : ''} FROM ${errors})
     WHERE isfinite(error) ORDER BY time${columns.has('row') ? ', row' : ''}`,
    'StageFailed',
    'the errors of a window',
  ))
    for (const [at, found] of chunk.getRows()) {
      if (typeof at !== 'number' || typeof found !== 'number') continue;
      const isWithin = at >= from;
      if (isWithin) labels++;
      if (watching.update(found / scale) !== 'drift' || !isWithin) continue;
      const { before = null, after = null } = watching.change ?? {};
      changes.push({
        at: new Date(at).toISOString(),
        before: before === null ? null : before * scale,
        after: after === null ? null : after * scale,
      });
    }
  return {
    concept: { detector: spec.detector, labels, changes: changes.slice(-MOST_CHANGES) },
    detector: { version, through: window.before, state: watching.state },
  };
}

function errorMetric({ detector }: ConceptSpec, { task }: WatchedProblem): RowMetric {
  if (task === 'regression') return 'mean_absolute_error';
  return task === 'binary' && detector !== 'ddm' ? 'brier_score' : 'accuracy';
}
