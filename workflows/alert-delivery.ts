import { isCancellation } from '@temporalio/workflow';
import { delivery } from '../contracts/alerts.ts';
import { deliverAlert, recordDelivery } from './activities.ts';
import { words } from './failure-words.ts';
import { parseInput } from './parse.ts';

/**
 * Tells one alert by one channel, by itself: an outage of the channel holds up nothing else, and nothing is lost in it.
 * Its id is that of the alert and the channel, so that nothing is told twice. What is refused for good is not tried
 * again; it stands in `perennial monitor` until the channel takes something.
 *
 * @throws ApplicationFailure `InputInvalid` where the channel refuses it for good
 */
export async function alertDelivery(argument: unknown): Promise<void> {
  const told = parseInput(delivery, argument, 'the argument of workflow alertDelivery');
  const { channel, notice } = told;
  const about = { endpoint: notice.endpoint, notice: { id: notice.id, title: notice.title }, channel };
  try {
    await deliverAlert(told);
  } catch (error) {
    if (!isCancellation(error)) await recordDelivery({ ...about, refused: words(error) });
    throw error;
  }
  await recordDelivery({ ...about, refused: null });
}
