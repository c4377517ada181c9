import { z } from 'zod';

interface CronField {
  name: string;
  least: number;
  most: number;
  /** Words for the numbers from `least` on. */
  names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** February in a leap year. */
const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const MINUTE: CronField = { name: 'minute', least: 0, most: 59 };
const HOUR: CronField = { name: 'hour', least: 0, most: 23 };
const DAY: CronField = { name: 'day of the month', least: 1, most: 31 };
const MONTH: CronField = { name: 'month', least: 1, most: 12, names: MONTHS };
/** Sunday is 0, and 7. */
const WEEKDAY: CronField = { name: 'day of the week', least: 0, most: 7, names: WEEKDAYS };
const FIELDS: readonly CronField[] = [MINUTE, HOUR, DAY, MONTH, WEEKDAY];

const ORDER = 'minute, hour, day of the month, month, day of the week, such as 0 3 1 * *';
const PART = /^(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:\/([0-9]{1,2}))?$/;

/** A number of a field, or the word for it; `null` where it is neither. */
function numberOf({ least, most, names = [] }: CronField, text: string): number | null {
  const named = names.indexOf(text);
  const value = named >= 0 ? least + named : /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : null;
}

const rangeOf = ({ least, most, names }: CronField): string =>
  `${least} to ${most}${names ? `, or ${names[0]} to ${names.at(-1)}` : ''}`;

/** The numbers that a part of a field stands for, or what is wrong with it. */
function partOf(field: CronField, text: string): number[] | string {
  const [whole, first, last, step] = PART.exec(text) ?? [];
  const wrong = (why: string): string => `${field.name} "${text}": ${why}`;
  if (whole === undefined)
    return wrong(`expected *, a number, a range such as 1-5, or a step such as */2 (${rangeOf(field)})`);
  const from = first === undefined ? field.least : numberOf(field, first);
  const to = first === undefined ? field.most : last === undefined ? from : numberOf(field, last);
  if (from === null || to === null) return wrong(`expected ${rangeOf(field)}`);
  if (from > to) return wrong('the range ends before it begins; write two, with a comma');
  if (step !== undefined && first !== undefined && last === undefined)
    return wrong(`a step goes through *, or through a range such as ${first}-${field.most}/${step}`);
  const by = step === undefined ? 1 : Number(step);
  if (by < 1 || by > field.most) return wrong(`expected a step from 1 to ${field.most}`);
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
}

function valuesOf(field: CronField, text: string): number[] | string {
  const values: number[] = [];
  for (const part of text.split(',')) {
    const found = partOf(field, part);
    if (typeof found === 'string') return found;
    values.push(...found);
  }
  return values;
}

/**
 * What is wrong with a cron expression of five fields, in words; `null` where nothing is. It is stricter than most
 * programs, so that Temporal, which starts the run, and the back-test read the same in what is left: no seconds, no
 * `@monthly`, no `L` or `#`, and not both a day of the month and one of the week.
 *
 * @example cronProblem('every monday')?.startsWith('expected five fields') // true
 */
export function cronProblem(text: string): string | null {
  const parts = text.toLowerCase().split(' ');
  if (parts.length !== FIELDS.length)
    return `expected five fields with one space between them: ${ORDER}; there are ${parts.length}`;
  const values: number[][] = [];
  for (const [i, field] of FIELDS.entries()) {
    const found = valuesOf(field, parts[i] ?? '');
    if (typeof found === 'string') return found;
    values.push(found);
  }
  if (parts[2] !== '*' && parts[4] !== '*')
    return 'a day of the month and a day of the week: some programs take it for both, some for either; let one be *';
  const [, , days = [], months = []] = values;
  const comes = months.some((month) => days.some((day) => day <= (LONGEST_MONTHS[month - 1] ?? 0)));
  return comes ? null : `no month of ${parts[3]} has a day ${parts[2]}; it would never come`;
}

/** A cron expression of five fields, in UTC. */
export const cronExpression = z.string().superRefine((text, context) => {
  const problem = cronProblem(text);
  if (problem !== null) context.addIssue({ code: 'custom', message: `a cron expression: ${problem}` });
});
