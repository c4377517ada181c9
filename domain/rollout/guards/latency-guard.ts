import { durationMs } from '../../../contracts/durations.ts';
import type { GuardVerdict } from '../../../contracts/rollout.ts';
import type { NumberSketch } from '../../../contracts/rollout-evidence.ts';
import type { GuardsSpec } from '../../../contracts/spec/rollout.ts';
import { rateSequence } from '../sequential.ts';
import { countAbove, emptySketch, sketchCount, sketchQuantile } from '../sketch.ts';
import { enough, lack, type Measured, nothingToCompare, type TrafficWindow } from './window.ts';
import { countText, latencyText, shareText } from './words.ts';

const QUANTILE = 0.99;
/** The share of requests that may be slower than a 99th percentile. */
const SLOWER = 0.01;

/**
 * Holds the candidate's 99th percentile against `maxRatio` times the champion's plus `allowance`. It is breached where
 * the lower confidence bound of the share of its requests beyond that limit exceeds 1 %, and also the upper bound of
 * the champion's share beyond it: a percentile of few requests is known badly, so that the limit itself may be chance.
 */
export function judgeLatency(
  { maxRatio, allowance, minRequests }: Exclude<GuardsSpec['latency'], false>,
  { candidate, champion, requests, window, alpha }: TrafficWindow,
): GuardVerdict {
  const own: NumberSketch = candidate?.latency ?? emptySketch();
  if (champion === null) return nothingToCompare('latency', window, sketchCount(own));
  const other: NumberSketch = champion.traffic?.latency ?? emptySketch();
  const usual = sketchQuantile(other, QUANTILE) ?? null;
  const limit = usual === null ? null : maxRatio * usual + durationMs(allowance);
  const measured: Measured = {
    candidate: sketchQuantile(own, QUANTILE) ?? null,
    champion: usual,
    limit,
    samples: { candidate: sketchCount(own), champion: sketchCount(other) },
    needed: minRequests,
  };
  const { samples } = measured;
  const verdict = (state: GuardVerdict['state'], message: string): GuardVerdict => ({
    guard: 'latency',
    state,
    ...measured,
    window,
    message: `latency: ${message}`,
  });
  if (usual === null || limit === null || samples.candidate === 0)
    return verdict('waiting', `so far ${lack(measured, 'requests', false)}`);
  const slow = countAbove(own, limit);
  const share = slow / samples.candidate;
  const surely = rateSequence(slow, samples.candidate, alpha / 2).lower;
  const atMost = rateSequence(countAbove(other, limit), samples.champion, alpha / 2).upper;
  const facts = `${countText(slow)} of ${countText(samples.candidate)} ${requests} (${shareText(share)}) took longer than ${latencyText(limit)}, which is ${maxRatio} times the 99th percentile of ${champion.name} (${latencyText(usual)} over ${countText(samples.champion)}) and ${allowance}; allowed is ${shareText(SLOWER)}`;
  if (surely > Math.max(SLOWER, atMost)) return verdict('breached', facts);
  if (!enough(measured, false))
    return verdict('waiting', `${facts}; so far ${lack(measured, 'requests', false)}`);
  if (share > SLOWER) return verdict('waiting', `${facts}; that is more, but may still be chance`);
  return verdict('passed', facts);
}
