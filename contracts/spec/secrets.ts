/** A secret as a spec names it: by a variable of the worker's environment, never by its value. */
export const SECRET_REFERENCE = /\$\{env:(PERENNIAL_SECRET_[A-Z0-9_]+)\}/g;

/** Where a spec may refer to a secret: what opens a source, for example a token in an address or a password; a key. */
const ALLOWED: readonly RegExp[] = [
  /^data\.sources\.[^.]+(\.(path|url|headers\..+|credentials\.(accessKeyId|secretAccessKey|sessionToken)|postgres\.(url|password)))?$/,
  /^privacy\.pseudonymKey$/,
  // Of a batch: what opens its destination.
  /^output\.(credentials\.(accessKeyId|secretAccessKey|sessionToken)|postgres\.(url|password))$/,
];

/** What is wrong with one `${env:…}` in a spec. */
export interface SecretIssue {
  path: (string | number)[];
  message: string;
}

/**
 * The `${env:…}` of a spec that cannot be resolved: another variable than `PERENNIAL_SECRET_…`, or a place where a
 * secret has no use and would end up in reports.
 */
export function secretIssues(value: unknown, path: (string | number)[] = []): SecretIssue[] {
  if (typeof value === 'string') {
    const rest = value.replaceAll(SECRET_REFERENCE, '');
    if (rest.includes('${env:'))
      return [
        { path, message: 'a secret is written ${env:PERENNIAL_SECRET_NAME}; other variables are not read' },
      ];
    return rest !== value && !ALLOWED.some((place) => place.test(path.join('.')))
      ? [
          {
            path,
            message:
              'a secret may stand in what opens a source (path, url, headers, credentials, password) or in privacy.pseudonymKey only',
          },
        ]
      : [];
  }
  if (Array.isArray(value)) return value.flatMap((item, i) => secretIssues(item, [...path, i]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => secretIssues(item, [...path, key]));
}
