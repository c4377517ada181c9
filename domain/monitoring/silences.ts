import type { Silence } from '../../contracts/alerts.ts';
import type { AlertSpec, CheckName } from '../../contracts/spec/monitoring.ts';
import { momentMs } from '../../contracts/spec/split.ts';

/**
 * Whether nothing is to be told of a check, by the spec or by people. The spec speaks of the data's time; who asks for
 * silence now wants to hear nothing now, of whatever time the windows are.
 *
 * @param at the end of the window
 * @param tellingAt when it would be told
 */
export function isSilent(
  spec: AlertSpec,
  silences: readonly Silence[],
  check: CheckName,
  at: string,
  tellingAt: string = at,
): boolean {
  const end = Date.parse(at);
  const now = Date.parse(tellingAt);
  const bySpec = spec.silence.some(
    (one) =>
      (one.check === undefined || one.check === check) &&
      momentMs(one.from) <= end &&
      end < momentMs(one.before),
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
