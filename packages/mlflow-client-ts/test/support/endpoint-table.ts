import { readFile } from 'node:fs/promises';

/** One row of the tables of covered endpoints. */
export interface EndpointRow {
  readonly http: string;
  readonly path: string;
  /** For example `runs.get`. */
  readonly method: string;
  readonly test: string;
}

/** One row of the table of endpoints left out. */
export interface LeftOutRow {
  readonly http: string;
  /** A path, or a prefix followed by `*`. */
  readonly path: string;
  readonly reason: string;
}

/** What ENDPOINTS.md says. */
export interface EndpointTables {
  readonly covered: readonly EndpointRow[];
  readonly routes: readonly EndpointRow[];
  readonly leftOut: readonly LeftOutRow[];
}

const file = new URL('../../ENDPOINTS.md', import.meta.url);

/** Reads the three tables of ENDPOINTS.md, told apart by the heading above them. */
export async function readEndpointTables(): Promise<EndpointTables> {
  const sections = (await readFile(file, 'utf8')).split(/^## /m);
  const rows = (heading: string): string[][] => {
    const section = sections.find((candidate) => candidate.startsWith(heading));
    if (section === undefined) throw new Error(`ENDPOINTS.md has no section "${heading}"`);
    const lines = section.split('\n').filter((line) => line.startsWith('|'));
    return lines.slice(2).map((line) => line.split('|').slice(1, -1).map(plain));
  };
  return {
    covered: rows('Covered').map(endpointRow),
    routes: rows('Routes').map(endpointRow),
    leftOut: rows('Left out').map(([http = '', path = '', reason = '']) => ({ http, path, reason })),
  };
}

function endpointRow([http = '', path = '', method = '', test = '']: string[]): EndpointRow {
  return { http, path, method, test };
}

function plain(cell: string): string {
  return cell.trim().replace(/^`|`$/g, '');
}

/** Turns `/a/{id}/b` and `/a/<path:p>` into a pattern for real request paths. */
export function pathPattern(path: string): RegExp {
  const source = path
    .split(/(\{[^}]*\}|<[^>]*>)/)
    .map((part) => {
      if (part.startsWith('{')) return '[^/]+';
      if (part.startsWith('<')) return '.+';
      return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${source}$`);
}
