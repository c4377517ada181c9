import { z } from 'zod';
import { duration } from '../durations.ts';

/** Who decides, and how long there is to decide. */
export const approvalSpec = z
  .strictObject({
    required: z
      .boolean()
      .default(true)
      .meta({ description: 'false deploys without asking; the report says so.' }),
    quorum: z
      .number()
      .int()
      .min(1)
      .max(20)
      .default(1)
      .meta({ description: 'Approvals by different people that are needed.' }),
    timeout: duration.default('7d'),
    onTimeout: z
      .enum(['reject', 'approve'])
      .default('reject')
      .meta({ description: 'What the time-out means.' }),
    reminders: z
      .array(duration)
      .default(['1d', '3d'])
      .meta({ description: 'When to remind, counted from the request.' }),
  })
  .prefault({});
export type ApprovalSpec = z.infer<typeof approvalSpec>;
