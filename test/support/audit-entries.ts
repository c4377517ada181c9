import type { AuditEntry } from '../../contracts/audit.ts';

const SECOND = 1_000;

/** An entry that is the same for the same number, a second after the one before. */
export const auditEntryOf = (number: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: new Date(Date.UTC(2026, 0, 1) + number * SECOND).toISOString(),
  action: 'approval.vote',
  outcome: 'done',
  by: `person ${number}`,
  how: 'named',
  endpoint: 'churn',
  version: '1',
  candidate: 'abcdef01'.repeat(8),
  reason: `entry ${number} é\n${'x'.repeat(number % 50)}`,
  ...more,
});
