import type { Silence } from '../../contracts/alerts.ts';
import type { AlertSpec, CheckName } from '../../contracts/spec/monitoring.ts';
import { momentMs } from '../../contracts/spec/split.ts';

/** Whether nothing is to be told of a check at a moment, by the spec or by people. */
export function isSilent(
  spec: AlertSpec,
  silences: readonly Silence[],
  check: CheckName,
  at: string,
): boolean {
  const now = Date.parse(at);
  const bySpec = spec.silence.some(
    (one) =>
      (one.check === undefined || one.check === check) &&
      momentMs(one.from) <= now &&
      now < momentMs(one.before),
  );
  return (
    bySpec ||
    silences.some(
      (one) =>
        (one.check === null || one.check === check) &&
        Date.parse(one.from) <= now &&
        now < Date.parse(one.before),
    )
  );
}

/** Those that are not over at a moment. */
export const lastingSilences = (silences: readonly Silence[], at: string): Silence[] =>
  silences.filter(({ before }) => Date.parse(before) > Date.parse(at));
