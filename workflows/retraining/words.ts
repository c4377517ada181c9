import type { AuditEntry } from '../../contracts/audit.ts';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import type { NoticeOfRun } from '../../contracts/notices.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import type { RetrainingBook } from '../../domain/retraining/book.ts';

/** A decision as an entry of the audit log. */
export function entryOf(decision: RetrainingDecision): Omit<AuditEntry, 'at'> {
  return {
    action: decision.decision === 'ended' ? 'retraining.ended' : 'retraining.decided',
    outcome: decision.decision === 'skip' ? 'refused' : 'done',
    by: 'policy',
    how: 'engine',
    endpoint: null,
    version: null,
    candidate: null,
    reason: lineOf(decision),
  };
}

/**
 * A decision in one line.
 *
 * @example 'wait: cool-down: …; for degradation (3 times): Brier 0.29; until 2026-11-22T03:00:00.000Z'
 */
export function lineOf({ decision, why, reasons, until, run }: RetrainingDecision): string {
  const told = reasons.map(
    ({ kind, reason, times }) =>
      `${kind}${times > 1 ? ` (${times} times)` : ''}${reason ? `: ${reason}` : ''}`,
  );
  return [
    `${decision}: ${why}`,
    ...(told.length > 0 ? [`for ${told.join(', ')}`] : []),
    ...(until === null ? [] : [`until ${until}`]),
    ...(run === null ? [] : [`run ${run}`]),
  ].join('; ');
}

/** A sentence for people who are to be told. */
export const noticeOf = (
  kind: Extract<NoticeOfRun['kind'], `retraining.${string}`>,
  pipeline: string,
  about: { text: string; run?: string | null; version?: string | null },
): NoticeOfRun => ({
  kind,
  workflowId: about.run ?? retrainingWorkflowId(pipeline),
  pipeline,
  endpoint: null,
  version: about.version ?? null,
  candidate: null,
  to: [],
  text: about.text.slice(0, 4_000),
  url: null,
});

/** The workflow id of a run that begins now. */
export function runIdOf(pipeline: string): string {
  const time = new Date()
    .toISOString()
    .replaceAll(/[-:]/g, '')
    .replace('T', '-')
    .replace('.', '-')
    .slice(0, -1);
  return `${pipeline}/retraining/${time}`;
}

/** What the Temporal UI shows of a retraining. */
export const detailsOf = (
  { state, running }: Pick<RetrainingBook, 'state' | 'running'>,
  decision: RetrainingDecision,
): string =>
  [
    running ? `Run **${running.workflowId}** goes on.` : 'No run goes on.',
    state.pending.length > 0 ? `Now: ${lineOf(decision)}` : 'No reason waits.',
    `${state.failures} run(s) in a row did not help${state.gaveUpAt === null ? '' : '; **a person has to resume it**'}.`,
    ...(state.paused ? ['**Paused** by a person.'] : []),
  ].join('\n\n');
