import { expect } from 'vitest';
import { type Verdict, verdict } from '../../contracts/monitoring.ts';
import { alertKey } from '../../domain/monitoring/alerts.ts';
import { assessWindow } from '../../domain/monitoring/assess.ts';
import { type Observation, observation, watching } from './window-reports.ts';

export type Watching = Parameters<typeof watching>[0];

/** Verdicts of one check, by what they are of. */
export function said(check: Verdict['check'], settings: Watching, report: Partial<Observation>) {
  const verdicts = assessWindow(watching(settings), observation(report));
  for (const one of verdicts) verdict.parse(one);
  expect(new Set(verdicts.map(alertKey)).size).toBe(verdicts.length);
  return Object.fromEntries(
    verdicts
      .filter((one) => one.check === check)
      .map((one) => [one.slice === null ? one.of : `${one.of}@${one.slice}`, one]),
  );
}
