import { offsetMinutes, type RetrainingSpec } from '../../contracts/spec/retraining.ts';

type QuietHours = RetrainingSpec['quietHours'][number];

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Milliseconds of a day. @example ofDay('22:30') === 81_000_000 */
function ofDay(clock: string): number {
  const [hours, minutes] = clock.split(':');
  return (Number(hours) * 60 + Number(minutes)) * MINUTE;
}

/** The end of the quiet hours that a moment lies in; the moment itself where it lies in none. */
function endOf({ from, to, utcOffset }: QuietHours, at: number): number {
  const local = at + offsetMinutes(utcOffset) * MINUTE;
  const time = ((local % DAY) + DAY) % DAY;
  const [start, end] = [ofDay(from), ofDay(to)];
  const quiet = start < end ? time >= start && time < end : time >= start || time < end;
  return quiet ? at + ((end - time + DAY) % DAY) : at;
}

/** Whether no run may begin then. */
export const isQuiet = (hours: readonly QuietHours[], at: number): boolean =>
  hours.some((one) => endOf(one, at) > at);

/**
 * The first moment from `at` on that lies in no quiet hours; hours that follow each other are one.
 *
 * @param at milliseconds since 1970
 * @returns `null` where the hours leave no moment of any day
 */
export function quietUntil(hours: readonly QuietHours[], at: number): number | null {
  let moment = at;
  // Each step ends at the end of some hours: after two days all of them have been seen.
  for (let steps = 0; steps <= 2 * hours.length; steps++) {
    const next = hours.reduce((latest, one) => Math.max(latest, endOf(one, moment)), moment);
    if (next === moment) return moment;
    moment = next;
  }
  return null;
}
