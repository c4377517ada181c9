import type { PlatformStatus } from './state.ts';

/**
 * The status as a table for a terminal: one line per part, and where to look.
 *
 * @example process.stdout.write(formatStatus(platform.status()))
 */
export function formatStatus(status: PlatformStatus): string {
  const rows = [
    ['PART', 'STATE', 'ADDRESS', 'PID', 'RESTARTS', 'SINCE'],
    ...status.parts.map((part) => [
      part.name,
      part.state,
      part.url ?? '-',
      part.process ? String(part.process.pid) : '-',
      String(part.restarts),
      part.since.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const notes = status.parts.flatMap((part) => (part.note ? [`${part.name}: ${part.note}`] : []));
  const links = [
    status.temporalUi ? `Temporal UI  ${status.temporalUi}` : undefined,
    `namespace    ${status.namespace}`,
    `data         ${status.dataDir}`,
  ].filter((line) => line !== undefined);
  return `${[...table, ...(notes.length > 0 ? ['', ...notes] : []), '', ...links].join('\n')}\n`;
}
