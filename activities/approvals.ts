import { createHash } from 'node:crypto';
import { activityInfo, log } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { ApprovalActivities } from '../contracts/activities.ts';
import { ApproverList } from '../lib/approvals/approver-list.ts';
import { checkApprovers } from '../lib/approvals/check-approvers.ts';
import { VoteTokens } from '../lib/approvals/vote-token.ts';
import { AuditConflict } from '../lib/audit/audit-chain.ts';
import type { AuditLog } from '../lib/audit/audit-log.ts';
import { openAuditLog } from '../lib/audit/open-audit-log.ts';
import { NOTICE_SECRETS } from '../lib/notices/settings.ts';
import { postNotice } from '../lib/notices/webhook.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

/** Activities of decisions by people, and of their record. */
export function approvalActivities(deps: ActivityDependencies): ApprovalActivities {
  const { config } = deps;
  const list = new ApproverList(config.approvers);
  const tokens = new VoteTokens(list);
  let audit: Promise<AuditLog> | undefined;
  const opened = (): Promise<AuditLog> => {
    audit ??= openAuditLog(config, () => deps.store()).catch((error: unknown) => {
      audit = undefined;
      throw error;
    });
    return audit;
  };
  return {
    checkApprovers: framed(config, (input) => checkApprovers(list, input)),

    verifyVote: framed(config, (input) => tokens.verify(input)),

    notify: framed(config, async (notice) => {
      const { kind, workflowId, to, text, url } = notice;
      log.info(text, { kind, about: workflowId, to, url });
      if (config.notifyUrl === undefined) return;
      await postNotice(
        { id: noticeId(), notice },
        {
          url: config.notifyUrl,
          token: process.env[NOTICE_SECRETS.token],
          key: process.env[NOTICE_SECRETS.key],
        },
      );
    }),

    recordAudit: framed(config, async (input) => {
      try {
        return await (await opened()).append(input);
      } catch (error) {
        if (!(error instanceof AuditConflict)) throw error;
        // The trail of the workflow goes on where the log stands.
        throw ApplicationFailure.nonRetryable(error.message, error.code, { next: error.next });
      }
    }),
  };
}

/** The same for every attempt, another one for the next notice of the run. */
function noticeId(): string {
  const { workflowExecution: run, activityId } = activityInfo();
  return createHash('sha256')
    .update(`${run?.workflowId}/${run?.runId}/${activityId}`)
    .digest('hex')
    .slice(0, 32);
}
