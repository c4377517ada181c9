import type { Vote } from '../../contracts/votes.ts';

/** MLflow takes 5,000 bytes for the value of a tag; names may be of letters with several. */
const MAX_CHARACTERS = 4_500;

/** Tags of a version that say who decided. */
export const APPROVAL_TAGS = { approval: 'perennial.approval', approvedBy: 'perennial.approved_by' } as const;

/**
 * What the registry shows of a decision. Where there are too many votes, the latest stand there, and how many were
 * left out; the audit log has all.
 */
export function approvalTags(
  decision: 'approved' | 'rejected',
  votes: readonly Vote[],
): Record<string, string> {
  const told = votes.map(({ by, decision: said, token, at, author, how }) => ({
    by,
    decision: said,
    signed: token !== null,
    at,
    ...(author ? { author } : {}),
    ...(how === 'policy' ? { how } : {}),
  }));
  let leftOut = 0;
  const written = (): string =>
    JSON.stringify({ decision, votes: told.slice(leftOut), ...(leftOut > 0 ? { leftOut } : {}) });
  while (bytes(written()) > MAX_CHARACTERS && leftOut < told.length) leftOut += 1;
  const names = votes
    .filter((vote) => vote.decision === 'approve' && !vote.author)
    .map(({ by }) => by)
    .join(', ');
  return {
    [APPROVAL_TAGS.approval]: written(),
    ...(decision === 'approved' ? { [APPROVAL_TAGS.approvedBy]: cut(names) } : {}),
  };
}

/** A letter of UTF-16 has at most three bytes of UTF-8. */
const bytes = (text: string): number =>
  [...text].reduce((sum, letter) => {
    const code = letter.codePointAt(0) ?? 0;
    return sum + (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
  }, 0);

function cut(names: string): string {
  if (bytes(names) <= MAX_CHARACTERS) return names;
  const letters = [...names].slice(0, MAX_CHARACTERS / 4);
  return `${letters.join('')}…`;
}
