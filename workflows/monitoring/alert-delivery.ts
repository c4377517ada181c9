import { ApplicationFailure, isCancellation, log, sleep } from '@temporalio/workflow';
import { delivery } from '../../contracts/alerts.ts';
import { nextTry } from '../../domain/monitoring/delivery-tries.ts';
import { deliverAlert, recordDelivery } from '../activities.ts';
import { words } from '../failure-words.ts';
import { parseInput } from '../parse.ts';

/**
 * Tells one alert by one channel, by itself: an outage of the channel holds up nothing else, and nothing is lost in it.
 * Its id is that of the alert and the channel, so that nothing is told twice. An outage is waited for. What is refused (a
 * wrong address, a missing secret, a worker that has not set the channel up) is tried again slowly, until somebody has
 * mended it, on whichever worker; meanwhile it stands in `perennial monitor` with the reason.
 *
 * @throws ApplicationFailure `StageFailed` where it could not be told within thirty days; then it stays listed
 */
export async function alertDelivery(argument: unknown): Promise<void> {
  const told = parseInput(delivery, argument, 'the argument of workflow alertDelivery');
  const { channel, notice } = told;
  const about = { endpoint: notice.endpoint, notice: { id: notice.id, title: notice.title }, channel };
  const began = Date.now();
  let known: string | null = null;
  for (let tries = 1; ; tries++) {
    const refused = await refusal(() => deliverAlert(told));
    if (refused === null) break;
    const pause = nextTry(tries, Date.now() - began);
    if (pause === null) {
      const why = `not told within 30 days, and not tried again: ${refused}`;
      await recordDelivery({ ...about, refused: why });
      throw ApplicationFailure.nonRetryable(why, 'StageFailed');
    }
    log.warn(`alert ${notice.id} could not be told by ${channel}: ${refused}`);
    if (refused !== known) await recordDelivery({ ...about, refused });
    known = refused;
    await sleep(pause);
  }
  await recordDelivery({ ...about, refused: null });
}

/** Why something was refused, in words; `null` where it was not. */
async function refusal(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return words(error);
  }
}
