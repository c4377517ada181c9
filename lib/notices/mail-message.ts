import type { ToldAlert } from '../../contracts/alerts.ts';
import { type EventWords, eventWords, linkOf, oneLine, windowWords } from './alert-words.ts';

const LONGEST_SUBJECT = 200;

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

/** A mail, without who sends and gets it. */
export interface MailMessage {
  subject: string;
  text: string;
  html: string;
  /** The picture of the trend, as SVG. */
  plot: string | null;
}

/** The name by which the HTML part shows the picture that comes with it. */
export const PLOT_ID = 'trend@perennial';

/** A notice as a mail: plain text, and the same as simple HTML with the picture of the trend. */
export function mailMessage(notice: ToldAlert): MailMessage {
  const title = oneLine(notice.title);
  const subject = `[${notice.severity}] ${title}`;
  const events = notice.events.map(eventWords);
  const next = oneLine(notice.next);
  const link = linkOf(notice);
  const where = windowWords(notice);
  const text = [
    title,
    where,
    '',
    ...events.map(
      ({ state, subject: about, words, since }) => `- ${about} (${state}, since ${since}): ${words}`,
    ),
    '',
    ...(next ? [`Next: ${next}`] : []),
    ...(link === null ? [] : [`Report: ${link}`]),
  ].join('\n');
  return {
    subject: subject.length > LONGEST_SUBJECT ? `${subject.slice(0, LONGEST_SUBJECT - 1)}…` : subject,
    text: `${text.trimEnd()}\n`,
    html: htmlOf({ title, where, events, next, link, pictured: notice.plot !== null }),
    plot: notice.plot,
  };
}

function htmlOf({
  title,
  where,
  events,
  next,
  link,
  pictured,
}: {
  title: string;
  where: string;
  events: readonly EventWords[];
  next: string;
  link: string | null;
  pictured: boolean;
}): string {
  const rows = events.map(
    ({ state, subject, words, since }) =>
      `<tr>${[state, subject, words, since].map((cell) => `<td style="padding:4px 12px 4px 0">${escaped(cell)}</td>`).join('')}</tr>`,
  );
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>',
    '<body style="font-family:sans-serif;font-size:14px">',
    `<h1 style="font-size:18px">${escaped(title)}</h1><p>${escaped(where)}</p>`,
    `<table style="border-collapse:collapse;text-align:left"><tr>${['State', 'What', 'Numbers', 'Since'].map((head) => `<th style="padding:4px 12px 4px 0">${head}</th>`).join('')}</tr>`,
    ...rows,
    '</table>',
    next ? `<p><strong>Next:</strong> ${escaped(next)}</p>` : '',
    pictured ? `<p><img src="cid:${PLOT_ID}" alt="The trend" style="max-width:100%"></p>` : '',
    link === null ? '' : `<p><a href="${escaped(link)}">Report</a></p>`,
    '</body></html>',
  ].join('\n');
}
