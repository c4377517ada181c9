import pc from 'picocolors';
import type { WindowSummary } from '../../contracts/monitoring.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import type { PostedNotice } from './hook-receiver.ts';

/** The checks that are beyond their limits, by name. */
function stateWords({ state, verdicts }: WindowSummary): string {
  if (state === 'ok') return pc.green('ok');
  const beyond = verdicts.filter((one) => one.state === 'breached').map(({ check }) => check);
  if (beyond.length > 0) return pc.red(`beyond its limits: ${[...new Set(beyond)].join(', ')}`);
  return pc.yellow('not enough to say');
}

const month = (at: string): string => at.slice(0, 7);
const count = (value: number): string => value.toLocaleString('en');
const figure = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(3));

/** Features that are named, the most drifted ones. */
const NAMED = 3;

/** What a month was like, for people: what came, how it differs, how good the answers were as far as that is known. */
export function monthLines(
  summary: WindowSummary,
  { metric, driftLimit, truths }: { metric: MetricName; driftLimit: number; truths: number },
): string[] {
  const { window, labelled, version, rows, labels, measures } = summary;
  const drifted = Object.entries(measures)
    .flatMap(([name, value]) =>
      name.startsWith('drift.psi.') && value > driftLimit ? [{ name: name.slice(10), value }] : [],
    )
    .sort((a, b) => b.value - a.value);
  const names = drifted
    .slice(0, NAMED)
    .map(({ name, value }) => `${name} ${value.toFixed(1)}`)
    .join(', ');
  const interval = (name: string): string => {
    const [low, high] = [measures[`${name}.low`], measures[`${name}.high`]];
    return low === undefined || high === undefined ? '' : ` (${figure(low)} to ${figure(high)})`;
  };
  return [
    `${pc.bold(month(window.from))}  ${count(rows)} calls, most answered by version ${version ?? 'none'}; ${count(truths)} truths came: ${stateWords(summary)}`,
    `         answers: PSI ${figure(measures['predictions.psi'])}; features beyond PSI ${driftLimit}: ${drifted.length}${names === '' ? '' : ` (${names}${drifted.length > NAMED ? ', …' : ''})`}; estimated ${metric} ${figure(measures[`estimated.${metric}`])}`,
    ...(labelled
      ? [
          `         truth of ${month(labelled.from)}: ${metric} ${figure(measures[`quality.${metric}`])}${interval(`quality.${metric}`)} by ${count(labels)} labels`,
        ]
      : ['         no truth of a whole month is due yet']),
  ];
}

/** Notices that say again what the story tells. */
const TOLD_ELSEWHERE = /^(approval\.|retraining\.(started|ended)$)/;

/** What a channel was told: what began and what is over, and what will be done; what lasts in a word. */
export function noticeLines(notice: PostedNotice): string[] {
  const mark = `  ${pc.magenta('✉')}`;
  const proof = notice.signed ? '' : pc.red(' (the signature is wrong)');
  if (!('events' in notice))
    return [`${mark} ${notice.kind}${proof}${TOLD_ELSEWHERE.test(notice.kind) ? '' : `: ${notice.text}`}`];
  const lasting = notice.events.filter(({ kind }) => kind === 'reminded').map(({ check }) => check);
  return [
    `${mark} alert, ${notice.severity}${proof}: ${notice.title}`,
    ...notice.events
      .filter(({ kind }) => kind !== 'reminded')
      .map(({ kind, check, words }) => `      ${kind.padEnd(9)} ${check}: ${words}`),
    ...(lasting.length > 0 ? [`      still     ${lasting.join(', ')}`] : []),
    `      next      ${notice.next}`,
  ];
}

const WORDS: Record<RetrainingDecision['decision'], (kinds: string) => string> = {
  start: (kinds) => pc.green(`→ trained anew for ${kinds}`),
  wait: (kinds) => pc.yellow(`○ waits with ${kinds}`),
  skip: (kinds) => pc.dim(`○ not trained anew for ${kinds}`),
  'give-up': (kinds) => pc.red(`✗ gives up on ${kinds}`),
  ended: () => pc.cyan('→ the retraining ended'),
};

/** What was decided about a retraining, and by which rule. */
export const decisionLine = ({ decision, why, reasons }: RetrainingDecision): string =>
  `  ${WORDS[decision](reasons.map(({ kind }) => kind).join(', ') || 'it')}: ${why}`;
