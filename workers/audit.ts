import { auditQuestion } from '../contracts/audit.ts';
import { openAuditLog } from '../lib/audit/open-audit-log.ts';
import { answering } from './answer.ts';

/** Answers a question about the audit log. */
export const runAudit = answering(async (question, { config }) =>
  (await openAuditLog(config)).read(auditQuestion.parse(question)),
);
