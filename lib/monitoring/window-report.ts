import type { DetectorState, ServerCounters, WindowReport } from '../../contracts/monitoring.ts';
import { assessWindow } from '../../domain/monitoring/assess.ts';
import type { Database } from '../duckdb/database.ts';
import { conceptOf } from './concept.ts';
import { type WindowQuestion, windowStatistics } from './window-statistics.ts';

/** A window, and all that is known of it beside its rows. */
export interface WindowReportQuestion
  extends WindowQuestion,
    Pick<WindowReport, 'endpoint' | 'versions' | 'operations' | 'skew' | 'features'> {
  window: WindowReport['window'];
  labelledWindow: WindowReport['labelled'];
  /** The version that answered the rows whose truth is looked at. */
  labelledVersion: string | null;
  detector: DetectorState;
  counters: ServerCounters;
  /** Rows whose errors the detector goes through; default: those whose truth is looked at. */
  errors?: string | null;
}

/** Measures a window and judges it: the report of the live monitor, and of a back-test. */
export async function windowReportOf(
  database: Database,
  question: WindowReportQuestion,
): Promise<WindowReport> {
  const { endpoint, window, labelledWindow, versions, operations, skew, features, detector, counters } =
    question;
  const statistics = await windowStatistics(database, question);
  question.signal?.throwIfAborted();
  const found = await changesOf(database, question);
  const report = {
    schemaVersion: 1 as const,
    endpoint,
    window,
    labelled: labelledWindow,
    versions,
    ...statistics,
    concept: found?.concept ?? null,
    operations,
    skew,
    ...(features ? { features } : {}),
    carriedOver: { detector: found?.detector ?? detector, counters },
  };
  return { ...report, verdicts: assessWindow(question.monitoring, report) };
}

async function changesOf(
  database: Database,
  question: WindowReportQuestion,
): Promise<Awaited<ReturnType<typeof conceptOf>> | null> {
  const { monitoring, labelledWindow, labelledVersion, detector } = question;
  const { problem, reference } = question.truth ?? question;
  const errors = question.errors ?? question.labelled;
  if (monitoring.concept === false || !errors || !labelledWindow || labelledVersion === null) return null;
  return conceptOf(database, {
    spec: monitoring.concept,
    problem,
    errors,
    window: labelledWindow,
    version: labelledVersion,
    detector,
    usualError: reference.quality.mean_absolute_error,
  });
}
