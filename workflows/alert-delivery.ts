import { delivery } from '../contracts/alerts.ts';
import { deliverAlert } from './activities.ts';
import { parseInput } from './parse.ts';

/**
 * Tells one alert by one channel, by itself: an outage of the channel holds up nothing else, and nothing is lost in it.
 * Its id is that of the alert and the channel, so that nothing is told twice.
 *
 * @throws ApplicationFailure `InputInvalid` where the channel refuses it for good
 */
export async function alertDelivery(argument: unknown): Promise<void> {
  await deliverAlert(parseInput(delivery, argument, 'the argument of workflow alertDelivery'));
}
