import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import { personName } from '../people.ts';

const people = z.array(personName).min(1).max(100);

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
    approvers: people.optional().meta({ description: 'Who may vote. Default: everybody.' }),
    roles: z
      .array(
        z.strictObject({
          role: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and -'),
          people: people.optional().meta({
            description: 'Who has it. Default, with signed: whom the worker’s list of approvers gives it.',
          }),
          quorum: z.number().int().min(1).max(20).default(1),
        }),
      )
      .max(20)
      .default([])
      .meta({ description: 'Roles each of which must approve, beside the quorum.' }),
    authorMayVote: z.boolean().default(false).meta({
      description: 'Whether the vote of the person who started the run counts towards an approval.',
    }),
    signed: z.boolean().default(false).meta({
      description: 'Whether only votes count that carry a token signed by a known approver.',
    }),
    timeout: duration.default('7d'),
    onTimeout: z
      .enum(['reject', 'approve'])
      .default('reject')
      .meta({ description: 'What the time-out means.' }),
    reminders: z
      .array(duration)
      .max(20)
      .default(['1d', '3d'])
      .meta({ description: 'When to remind, counted from the request.' }),
    escalation: z
      .strictObject({
        after: duration.meta({ description: 'Counted from the request.' }),
        to: people.meta({ description: 'Who may vote from then on, too, and is told.' }),
      })
      .optional(),
  })
  .superRefine((approval, context) => {
    const issue = (path: PropertyKey[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const names = approval.roles.map(({ role }) => role);
    for (const [i, name] of names.entries())
      if (names.indexOf(name) < i) issue(['roles', i, 'role'], `${name} is there twice`);
    for (const [i, role] of approval.roles.entries()) {
      if (!role.people && !approval.signed)
        issue(['roles', i, 'people'], 'needs people, or signed: true and a list of approvers on the worker');
      if (role.people && new Set(role.people).size < role.quorum)
        issue(
          ['roles', i, 'quorum'],
          `${role.quorum} of ${new Set(role.people).size} people can never be had`,
        );
    }
    if (approval.approvers && new Set(approval.approvers).size < approval.quorum)
      issue(
        ['quorum'],
        `${approval.quorum} of ${new Set(approval.approvers).size} approvers can never be had`,
      );
    if (approval.signed && approval.onTimeout === 'approve')
      issue(['onTimeout'], 'approve signs nothing; with signed: true a time-out rejects');
    if (approval.roles.length > 0 && approval.onTimeout === 'approve')
      issue(['onTimeout'], 'approve goes past the roles; with roles a time-out rejects');
    if (approval.escalation && durationMs(approval.escalation.after) >= durationMs(approval.timeout))
      issue(['escalation', 'after'], 'must come before the timeout');
  })
  .prefault({});
export type ApprovalSpec = z.infer<typeof approvalSpec>;
