import type { ColumnsSpec } from './data.ts';
import type { FeaturesSpec } from './features.ts';
import type { PrivacyAction, PrivacySpec } from './privacy.ts';

/** What is wrong with one place of a spec. */
interface RoleIssue {
  path: (string | number)[];
  message: string;
}

interface Roles {
  data: { sources: Readonly<Record<string, unknown>> };
  columns: ColumnsSpec;
  features: FeaturesSpec;
  privacy: PrivacySpec;
}

/** What a column is after its action; a dropped one is nothing. */
const turnsToText = (action: PrivacyAction): boolean =>
  action === 'mask' ||
  action === 'pseudonym' ||
  (typeof action === 'object' && (action.bins !== undefined || action.prefix !== undefined));

const kindOf = ({ features }: Roles, column: string): string | undefined => {
  const entry = Object.hasOwn(features.columns, column) ? features.columns[column] : undefined;
  return typeof entry === 'string' ? entry : entry?.kind;
};

/** The uses of a column that its action makes impossible, in words. */
function conflicts(spec: Roles, column: string, action: PrivacyAction): string[] {
  const { columns, privacy } = spec;
  const named = columns.features?.includes(column) ?? false;
  const kind = kindOf(spec, column);
  const uses: [used: boolean, use: string][] = [];
  if (action === 'drop')
    uses.push(
      [columns.target === column, 'columns.target'],
      [columns.entity.includes(column), 'columns.entity'],
      [columns.timestamp === column, 'columns.timestamp'],
      [named, 'columns.features'],
      [kind !== undefined && kind !== 'ignored', 'features.columns'],
      [privacy.subject.includes(column), 'privacy.subject'],
      [privacy.kAnonymity?.quasiIdentifiers.includes(column) ?? false, 'privacy.kAnonymity.quasiIdentifiers'],
    );
  else if (action !== 'keep') {
    if (turnsToText(action))
      uses.push(
        [columns.timestamp === column, 'columns.timestamp'],
        [kind === 'numeric' || kind === 'boolean' || kind === 'datetime', `features.columns as ${kind}`],
      );
    if (action === 'mask' || action === 'pseudonym') uses.push([columns.target === column, 'columns.target']);
    if (action === 'mask')
      uses.push([columns.entity.includes(column), 'columns.entity'], [named, 'columns.features']);
    // Only the value itself or its pseudonym finds a person again.
    if (action !== 'pseudonym') uses.push([privacy.subject.includes(column), 'privacy.subject']);
  }
  return uses.filter(([used]) => used).map(([, use]) => use);
}

const words = (action: PrivacyAction): string =>
  typeof action === 'string' ? action : Object.keys(action).join(' and ');

/** Where `privacy:` contradicts the roles and features of columns. */
export function privacyIssues(spec: Roles): RoleIssue[] {
  const { data, privacy, columns } = spec;
  const issues: RoleIssue[] = [];
  for (const [column, { action, kind, region }] of Object.entries(privacy.columns)) {
    const path = ['privacy', 'columns', column];
    for (const use of conflicts(spec, column, action))
      issues.push({
        path,
        message: `${words(action)} does not go together with ${use}; choose another action or take the column out there`,
      });
    if (action === 'pseudonym' && privacy.pseudonymKey === undefined)
      issues.push({ path, message: 'pseudonym needs privacy.pseudonymKey: ${env:PERENNIAL_SECRET_NAME}' });
    if (region !== undefined && kind !== 'phone')
      issues.push({ path: [...path, 'region'], message: 'only kind phone has a region' });
  }
  for (const column of privacy.subject)
    if (!columns.entity.includes(column) && !Object.hasOwn(privacy.columns, column))
      issues.push({
        path: ['privacy', 'subject'],
        message: `${column} is neither in columns.entity nor in privacy.columns; name it in one of them`,
      });
  for (const [source, names] of Object.entries(privacy.subjectIn)) {
    if (!Object.hasOwn(data.sources, source))
      issues.push({
        path: ['privacy', 'subjectIn', source],
        message: `there is no source ${source}; the sources are ${Object.keys(data.sources).join(', ')}`,
      });
    for (const column of Object.keys(names))
      if (!privacy.subject.includes(column))
        issues.push({
          path: ['privacy', 'subjectIn', source, column],
          message: `${column} is not in privacy.subject; name it there`,
        });
  }
  return issues;
}
