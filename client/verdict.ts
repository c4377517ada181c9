import pc from 'picocolors';
import type { GateResult } from '../contracts/reports.ts';
import { type GatesOutput, stageOutputs } from '../contracts/stages.ts';
import { verdictRows } from '../contracts/verdict.ts';
import { columns } from './output.ts';
import type { PerennialClient } from './perennial-client.ts';

const COLOURS: Record<GateResult['verdict'], (text: string) => string> = {
  passed: pc.green,
  failed: pc.red,
  undecided: pc.yellow,
  insufficient: pc.dim,
};

/** What the gates of a run came to; `undefined` where it was not judged yet, or cannot be asked. */
export async function verdictOf(
  perennial: Pick<PerennialClient, 'outputs'>,
  workflowId: string,
): Promise<GatesOutput | undefined> {
  const outputs = await perennial.outputs(workflowId).catch(() => undefined);
  return stageOutputs.pick({ gates: true }).strip().safeParse(outputs).data?.gates;
}

/** The verdict as a table: gate, required, got, interval, pass; with what whoever approves has to decide. */
export function verdictText({ results }: GatesOutput): string {
  if (results.length === 0) return 'The spec asks for no gates.';
  const rows = verdictRows(results);
  const [header = '', ...lines] = columns([
    ['GATE', 'REQUIRED', 'GOT', 'INTERVAL', 'VERDICT', ''],
    ...rows.map((row) => [row.gate, row.required, row.got, row.interval, row.verdict, row.note]),
  ]).split('\n');
  const undecided = rows.filter(({ verdict }) => verdict === 'undecided').length;
  return [
    header,
    ...lines.map((line, i) => {
      const verdict = rows[i]?.verdict ?? 'failed';
      return line.replace(new RegExp(`\\b${verdict}\\b`), COLOURS[verdict](verdict));
    }),
    ...(undecided > 0
      ? [pc.yellow(`Whoever approves decides ${undecided} gate(s) that no number could.`)]
      : []),
  ].join('\n');
}
