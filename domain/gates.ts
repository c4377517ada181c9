import type { GateResult } from '../contracts/reports.ts';
import type { Gate, MetricGate } from '../contracts/spec/gates.ts';
import type { Evidence } from './gates/evidence.ts';
import { againstBaseline, againstChampion, fixedLimit, generalisation } from './gates/metric-gates.ts';
import { fairnessGate, latencyGate, robustnessGate, sizeGate } from './gates/other-gates.ts';
import { sliceLimit } from './gates/slice-gates.ts';

export { type Evidence, evidenceOf } from './gates/evidence.ts';

/** How gates are judged that numbers cannot decide. */
export interface JudgeOptions {
  /** Whether a person is asked before anything is deployed: what is undecided then does not stop the run. */
  approverDecides?: boolean;
}

/**
 * Judges one gate. A gate with several conditions (`min` and `betterThan`, say) gives one result for each. A metric that
 * could not be computed passes no gate.
 */
function metricGate(gate: MetricGate, evidence: Evidence, approverDecides: boolean): GateResult[] {
  const limit = (direction: 'at_least' | 'at_most'): GateResult[] =>
    gate.slices === undefined
      ? [fixedLimit(gate, evidence, direction)]
      : sliceLimit(gate, evidence, direction);
  return [
    ...(gate.min === undefined ? [] : limit('at_least')),
    ...(gate.max === undefined ? [] : limit('at_most')),
    ...(gate.betterThan === 'baseline' ? [againstBaseline(gate, evidence)] : []),
    ...(gate.betterThan === 'champion' ? [againstChampion(gate, evidence, approverDecides)] : []),
    ...(gate.maxGap === undefined ? [] : [generalisation(gate, evidence)]),
  ];
}

function judgeGate(gate: Gate, evidence: Evidence, approverDecides: boolean): GateResult[] {
  if ('fairness' in gate) return fairnessGate(gate, evidence);
  if ('robustness' in gate) return robustnessGate(gate, evidence);
  if ('size' in gate) return sizeGate(gate, evidence);
  if ('latency' in gate) return latencyGate(gate, evidence);
  return metricGate(gate, evidence, approverDecides);
}

/**
 * Judges all gates on the evidence of the test split: the verdict, one table.
 *
 * @returns `passed` where none failed; what is undecided or insufficient does not fail
 * @example
 * judgeGates([{ metric: 'roc_auc', min: 0.85, by: 0 }], evidence).passed
 */
export function judgeGates(
  gates: readonly Gate[],
  evidence: Evidence,
  { approverDecides = false }: JudgeOptions = {},
): { passed: boolean; results: GateResult[] } {
  const results = gates.flatMap((gate) => judgeGate(gate, evidence, approverDecides));
  return { passed: results.every(({ verdict }) => verdict !== 'failed'), results };
}

/** One line for people about each gate that failed: which, and by how much. */
export function failedGates(results: readonly GateResult[]): string[] {
  return results
    .filter(({ verdict }) => verdict === 'failed')
    .map((result) => {
      const { gate, condition, observed, limit, margin, note, interval } = result;
      const part = partWords(result);
      if (observed === null || margin === null) return `${condition}: ${note ?? 'not computed'}${part}`;
      const short = `short by ${Math.abs(margin).toFixed(4)}`;
      // Then the value may keep the limit that its bound does not.
      const bounds =
        'confidence' in gate && gate.confidence !== undefined && interval !== null
          ? ` (bounds ${interval.low.toFixed(4)} and ${interval.high.toFixed(4)})`
          : '';
      return `${condition}: was ${observed.toFixed(4)}${bounds}, limit ${limit?.toFixed(4)}, ${margin < 0 ? short : (note ?? short)}${part}`;
    });
}

/** One line about each gate that whoever approves has to decide. */
export const undecidedGates = (results: readonly GateResult[]): string[] =>
  results
    .filter(({ verdict }) => verdict === 'undecided')
    .map(({ condition, note }) => `${condition}: ${note ?? 'undecided'}`);

const partWords = ({ group, feature }: GateResult): string =>
  group !== undefined ? ` (${group})` : feature !== undefined ? ` (${feature})` : '';
