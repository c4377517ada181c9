import type { ToldAlert } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { isGuardedAddress } from '../guarded-address.ts';
import { eventWords, linkOf, oneLine, windowWords } from './alert-words.ts';
import { postJson } from './http-post.ts';
import { NOTICE_SECRETS } from './settings.ts';

/** Slack takes 50 blocks of 3,000 characters, and a header of 150. */
const MOST_EVENTS = 20;
const LONGEST_TEXT = 2_900;
const LONGEST_HEADER = 150;

/** `<`, `>` and `&` would be links, mentions of everybody, and entities. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Cut before it is escaped: half an entity is none. */
const bounded = (text: string, length: number): string => {
  if (escaped(text).length <= length) return escaped(text);
  let end = Math.min(text.length, length);
  while (end > 0 && escaped(text.slice(0, end)).length >= length) end -= 1;
  return `${escaped(text.slice(0, end))}…`;
};

const markdown = (text: string): object => ({ type: 'mrkdwn', text, verbatim: true });
const section = (text: string): object => ({ type: 'section', text: markdown(text) });

/** A message as Slack's incoming web hooks take it, and what is compatible with them. */
export interface SlackMessage {
  /** For notifications, and receivers that know no blocks. */
  text: string;
  blocks: object[];
}

/** A notice as a message. Nothing of it is a mention, a link or a command, but the link to the report. */
export function slackMessage(notice: ToldAlert): SlackMessage {
  const lines = notice.events.slice(0, MOST_EVENTS).map((event) => {
    const { state, subject, words, since } = eventWords(event);
    return `*${bounded(subject, 300)}* (${state}, since ${escaped(since)})\n${bounded(words, LONGEST_TEXT - 400)}`;
  });
  const rest = notice.events.length - lines.length;
  const link = linkOf(notice);
  const title = oneLine(notice.title);
  return {
    text: bounded(`${title} (${notice.severity}). ${oneLine(notice.next)}`, LONGEST_TEXT),
    blocks: [
      {
        type: 'header',
        text: {
          type: 'plain_text',
          text: title.length > LONGEST_HEADER ? `${title.slice(0, LONGEST_HEADER - 1)}…` : title,
          emoji: false,
        },
      },
      ...lines.map(section),
      ...(rest > 0 ? [section(`and ${rest} more`)] : []),
      ...(notice.next ? [section(`Next: ${bounded(oneLine(notice.next), LONGEST_TEXT)}`)] : []),
      {
        type: 'context',
        elements: [
          markdown(bounded(windowWords(notice), LONGEST_TEXT)),
          ...(link === null ? [] : [markdown(`<${escaped(link)}|Report>`)]),
        ],
      },
    ],
  };
}

/**
 * Posts a notice to a Slack-compatible incoming web hook. Such a hook knows no ids: where its answer is lost, the same
 * is posted twice.
 *
 * @param url a secret: who knows it may post
 * @throws PerennialError `ServerUnavailable` (retryable) where the hook is out, `InputInvalid` where it refuses, and
 *   `SecretMissing` without an address
 */
export async function postToSlack(
  notice: ToldAlert,
  { url, ...more }: { url: string | undefined; timeoutMs?: number },
): Promise<void> {
  if (!url)
    throw new PerennialError(
      'SecretMissing',
      `the variable ${NOTICE_SECRETS.slack} is not set on the worker; set it in its environment, then retry`,
    );
  if (!isGuardedAddress(url))
    throw new PerennialError(
      'InputInvalid',
      `${NOTICE_SECRETS.slack} must be an https: address (http: on this machine alone), without a password`,
    );
  await postJson({
    url,
    body: JSON.stringify(slackMessage(notice)),
    headers: {},
    receiver: `the web hook of ${NOTICE_SECRETS.slack}`,
    remedy: 'that its address is in force',
    ...more,
  });
}
