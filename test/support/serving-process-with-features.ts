/** A serving process with an online store in memory: the `entry` of `startServing`. */
import { runServingProcess } from '../../serving/process/serving-program.ts';
import { shopEvents } from './shop-fixture.ts';

runServingProcess(async () => shopEvents());
