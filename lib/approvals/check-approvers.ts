import type { PerennialActivities } from '../../contracts/activities.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { samePerson } from '../../contracts/people.ts';
import type { ApproverList } from './approver-list.ts';

/**
 * Whether the people whom a spec counts on can sign at all, before days of training.
 *
 * @throws PerennialError `ApprovalImpossible` where they cannot, with what is missing in the list
 */
export async function checkApprovers(
  list: ApproverList,
  { roles, quorum, named = [] }: Parameters<PerennialActivities['checkApprovers']>[0],
): Promise<void> {
  const approvers = await list.approvers();
  const vacant = roles.filter((role) => !approvers.some((approver) => approver.roles.includes(role)));
  if (vacant.length > 0)
    throw impossible(
      `the worker’s list of approvers gives nobody the role ${vacant.join(', ')}; add it to somebody there, or name people in approval.roles`,
    );
  if (approvers.length < quorum)
    throw impossible(
      `approval.quorum: ${quorum} are needed, the worker’s list of approvers knows ${approvers.length}; add people to the list`,
    );
  for (const { what, people, quorum: needed } of named) {
    const unknown = people.filter((name) => !approvers.some((approver) => samePerson(approver.name, name)));
    if (people.length - unknown.length < needed)
      throw impossible(
        `${what}: signed votes of ${needed} are needed, but the worker’s list of approvers does not know ${unknown.join(', ')}; add their keys to the list`,
      );
  }
}

const impossible = (message: string): PerennialError => new PerennialError('ApprovalImpossible', message);
