import type { AlertEvent, AlertNotice } from '../../contracts/alerts.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { CheckName } from '../../contracts/spec/monitoring.ts';
import { gravest } from './alerts.ts';
import { clipped } from './verdict.ts';

const MOST_EVENTS = 100;
const LONGEST_TITLE = 300;
const LONGEST_NEXT = 1_000;

const CHECK_WORDS: Readonly<Record<CheckName, string>> = {
  'data-drift': 'data drift',
  'multivariate-drift': 'drift of the features together',
  'domain-classifier': 'drift found by the classifier',
  'prediction-drift': 'drift of the answers',
  'label-drift': 'drift of the truth',
  skew: 'skew between training and serving',
  'feature-parity': 'looked-up features',
  'concept-drift': 'concept drift',
  quality: 'quality',
  'estimated-quality': 'estimated quality',
  operations: 'operations',
};

const unescaped = (text: string): string => text.replaceAll('~1', '/').replaceAll('~0', '~');

/**
 * What an alert is about, in words.
 *
 * @example alertSubject({ check: 'quality', key: 'quality/roc_auc/' }) // 'quality roc_auc'
 */
export function alertSubject({ check, key }: Pick<AlertEvent, 'check' | 'key'>): string {
  const [, of = '', slice = ''] = key.split('/').map(unescaped);
  return [CHECK_WORDS[check], of, slice && `where ${slice}`]
    .filter(Boolean)
    .map((part) => clipped(part, 80))
    .join(' ');
}

const KIND_WORDS: Readonly<Record<AlertEvent['kind'], string>> = {
  raised: 'is beyond its limit',
  changed: 'is of another severity',
  reminded: 'is still beyond its limit',
  resolved: 'is over',
};

function titleOf(endpoint: string, events: readonly AlertEvent[]): string {
  const [first] = events.toSorted((a, b) => Number(a.kind === 'resolved') - Number(b.kind === 'resolved'));
  if (!first) return endpoint;
  const more = events.length > 1 ? `, and ${events.length - 1} more` : '';
  return clipped(`${endpoint}: ${alertSubject(first)} ${KIND_WORDS[first.kind]}${more}`, LONGEST_TITLE);
}

/** Two hashes after FNV-1a: the same for the same words, on every machine. */
function fingerprint(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x9e3779b1;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ (code + 0x7f), 0x85ebca6b);
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

/**
 * What is told of one window, in one notice, the events in the order in which they are given. The same events of the
 * same window have the same id, so that a receiver can drop what it has. Of more than 100 events the first are told, and
 * the title counts all.
 *
 * @param input.events at least one; those of `nextAlerts`
 * @param input.next what will be done about it
 * @param input.url of the report; `null` where it has no address
 * @param input.plot of the trend, SVG
 */
export function noticeOf({
  endpoint,
  pipeline,
  version,
  window,
  events,
  next,
  url,
  plot,
}: {
  endpoint: string;
  pipeline: string;
  version: string | null;
  window: ObservedWindow;
  events: readonly AlertEvent[];
  next: string;
  url: string | null;
  plot: ArtifactRef | null;
}): AlertNotice {
  const ids = events.map(({ id }) => id).sort();
  return {
    id: `${endpoint.slice(0, 100).replaceAll(/[^A-Za-z0-9-]/g, '_')}_${window.index}_${fingerprint([endpoint, ...ids].join('\n'))}`,
    endpoint,
    pipeline,
    version,
    severity: gravest(events.map(({ severity }) => severity)),
    window: { from: window.from, before: window.before },
    title: titleOf(endpoint, events),
    events: events.slice(0, MOST_EVENTS),
    next: clipped(next, LONGEST_NEXT),
    url,
    plot,
  };
}
