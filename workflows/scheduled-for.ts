import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';

const SCHEDULED = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME);

/** When a schedule, or its back-fill, meant the workflow to start, ISO 8601; `undefined` without one. */
export const scheduledFor = (): string | undefined =>
  workflowInfo().typedSearchAttributes.get(SCHEDULED)?.toISOString();
