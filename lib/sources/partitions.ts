import type { TextSource } from '../../contracts/spec/sources.ts';

const SEGMENT = /^[A-Za-z_][A-Za-z0-9_]*=[^/]*$/;
const WILDCARD = /[*?[{]/;

/** Folders of a path that name a value, as Hive writes them. @example partitionsOf('a/year=2024/b.csv') → ['year=2024'] */
export const partitionsOf = (path: string): string[] =>
  path
    .split('/')
    .slice(0, -1)
    .filter((segment) => SEGMENT.test(segment));

const keysOf = (path: string): string =>
  partitionsOf(path)
    .map((segment) => segment.slice(0, segment.indexOf('=')))
    .join('/');

/**
 * Whether folders such as `year=2024` become columns. `auto`: where the glob goes through such folders and all files
 * have the same keys; a fixed path whose folders happen to look so adds nothing.
 *
 * @param pattern the path or glob as resolved
 * @param paths the files that it matched
 */
export function isPartitioned(source: TextSource, pattern: string, paths: readonly string[]): boolean {
  if (source.hivePartitioning !== 'auto') return source.hivePartitioning;
  const segments = pattern.split('/');
  const fixed = segments.findIndex((segment) => WILDCARD.test(segment));
  if (fixed < 0) return false;
  const below = paths.map((path) => keysOf(path.split('/').slice(fixed).join('/')));
  return below[0] !== '' && below.every((keys) => keys === below[0]);
}
