import type { RolloutStatus } from '../../contracts/rollout.ts';

/** The roll-out as Markdown, for the Temporal UI. */
export function rolloutDetails({
  version,
  champion,
  endpoint,
  strategy,
  phase,
  steps,
  step,
  share,
  paused,
  verdicts,
  outcome,
  reason,
}: RolloutStatus): string {
  const place =
    phase === 'queued'
      ? 'waits for its turn'
      : phase === 'ended'
        ? `${(outcome ?? 'failed').replace('_', ' ')}: ${reason}`
        : `${steps[step]?.name ?? 'promotion'}, step ${Math.min(step + 1, steps.length)} of ${steps.length}, ${share} %${paused ? ', paused' : ''}`;
  return [
    `**Version ${version}** of ${endpoint} against ${champion === null ? 'nothing' : `version ${champion}`}, ${strategy}: ${place}`,
    '',
    ...(verdicts.length > 0
      ? [
          '| Guard | State | |',
          '| --- | --- | --- |',
          ...verdicts.map(
            ({ guard, state, message }) => `| ${guard} | ${state} | ${message.replaceAll('|', '\\|')} |`,
          ),
        ]
      : []),
  ].join('\n');
}
