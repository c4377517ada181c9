import type { AlertEvent, ToldAlert } from '../../contracts/alerts.ts';
import { alertSubject } from '../../domain/monitoring/alert-notice.ts';

/** What happened, as the first word of a line. */
const KINDS: Readonly<Record<AlertEvent['kind'], string>> = {
  raised: 'raised',
  changed: 'changed',
  reminded: 'still open',
  resolved: 'over',
};

/** Control characters, line ends among them, end nothing and hide nothing where a line is expected. */
export const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();

/** `2009-06-04T00:00:00.000Z` as `2009-06-04 00:00 UTC` */
export const momentWords = (moment: string): string =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(moment) ? `${moment.slice(0, 16).replace('T', ' ')} UTC` : moment;

/** An event in the parts that every channel writes. */
export interface EventWords {
  /** `critical, raised` */
  state: string;
  subject: string;
  words: string;
  since: string;
}

export const eventWords = (event: AlertEvent): EventWords => ({
  state: `${event.severity}, ${KINDS[event.kind]}`,
  subject: oneLine(alertSubject(event)),
  words: oneLine(event.words),
  since: momentWords(event.since),
});

/** Where the window is and who answered, in a line. */
export function windowWords({ endpoint, pipeline, version, window }: ToldAlert): string {
  const who = `endpoint ${endpoint}, pipeline ${pipeline}${version === null ? '' : `, version ${version}`}`;
  return oneLine(`${who}; window ${momentWords(window.from)} to ${momentWords(window.before)}`);
}

/** The address of the report where people can open it; anything else, such as a file's, says nothing to them. */
export const linkOf = ({ url }: ToldAlert): string | null =>
  url !== null && /^https?:\/\/[^\s<>|"]+$/.test(url) ? url : null;
