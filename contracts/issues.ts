import type { z } from 'zod';

/** Issues shown at the most; the rest are counted. */
const MAX_ISSUES = 10;
/** Longest part of a path that is shown, and longest word that is looked up: keys come from outside. */
const MAX_WORD = 64;

const shown = (part: PropertyKey): string => {
  const text = String(part);
  return text.length > MAX_WORD ? `${text.slice(0, MAX_WORD)}…` : text;
};

const pathOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${shown(part)}` : shown(part),
    '',
  );

/** Levenshtein distance, cut off: enough to tell a slip of the pen from another word. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * The word of `known` that `word` was most likely meant to be, or `undefined` where none is near.
 *
 * @example nearest('colums', ['columns', 'data']) === 'columns'
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const d = distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

const didYouMean = (word: unknown, known: readonly string[]): string => {
  const hint = typeof word === 'string' ? nearest(word, known) : undefined;
  return hint && hint !== word ? `; did you mean "${hint}"?` : '';
};

const oneOf = (words: readonly string[], value: unknown): string =>
  `${value === undefined ? 'is missing; expected' : 'must be'} one of ${words.join(', ')}${didYouMean(value, words)}`;

const valueAt = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    root,
  );

/** An issue and how deep it lies: of a union's branches the one that got furthest is the one that was meant. */
interface Line {
  path: readonly PropertyKey[];
  text: string;
}

function linesOf(
  issue: z.core.$ZodIssue,
  root: unknown,
  prefix: readonly PropertyKey[],
  keys: KnownKeys,
): Line[] {
  const path = [...prefix, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keys(path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        text: `is not a known key${didYouMean(key, known)}`,
      }));
    }
    case 'invalid_value':
      return [
        {
          path,
          text: oneOf(
            issue.values.map((value) => String(value)),
            valueAt(root, path),
          ),
        },
      ];
    case 'invalid_union': {
      if (issue.errors.length === 0) {
        const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
        return [{ path, text: options.length > 0 ? oneOf(options, valueAt(root, path)) : issue.message }];
      }
      const branches = issue.errors.map((errors) =>
        errors.flatMap((inner) => linesOf(inner, root, path, keys)),
      );
      const depth = (lines: Line[]): number => Math.max(...lines.map((line) => line.path.length));
      // Of two that got as far, the one with less to say against it.
      const best = branches.reduce((a, b) =>
        depth(b) > depth(a) || (depth(b) === depth(a) && b.length < a.length) ? b : a,
      );
      return depth(best) > path.length
        ? best
        : [{ path, text: [...new Set(best.map((line) => line.text))].join('; or ') }];
    }
    case 'invalid_type':
      return [
        {
          path,
          text:
            valueAt(root, path) === undefined
              ? `is missing; expected ${issue.expected}`
              : `expected ${issue.expected}, found ${found(valueAt(root, path))}`,
        },
      ];
    default:
      return [{ path, text: issue.message }];
  }
}

const found = (value: unknown): string =>
  value === null
    ? 'nothing (null)'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'number' && !Number.isFinite(value)
        ? String(value)
        : typeof value;

/** Tells the known keys at a path, for suggestions. */
export type KnownKeys = (path: readonly PropertyKey[]) => readonly string[];

/**
 * The issues of a failed parse, each with its path, what was expected and the nearest right word. Values are
 * never echoed.
 *
 * @param value what was parsed
 * @param keys the known keys of the object at a path; without it no key is suggested
 */
export function issueLines(error: z.ZodError, value: unknown, keys: KnownKeys = () => []): string[] {
  // Of ten thousand wrong entries ten are looked at: a workflow has to answer within seconds.
  const looked = error.issues.slice(0, MAX_ISSUES);
  const lines = looked
    .flatMap((issue) => linesOf(issue, value, [], keys))
    .map(({ path, text }) => (path.length > 0 ? `${pathOf(path)}: ${text}` : text));
  const more = Math.max(0, lines.length - MAX_ISSUES) + error.issues.length - looked.length;
  return more > 0 ? [...lines.slice(0, MAX_ISSUES), `and ${more} more`] : lines;
}

/** {@link issueLines} in one line. */
export const describeIssues = (error: z.ZodError, value: unknown): string =>
  issueLines(error, value).join('; ');
