/** The program of a serving process. */
import { onlineFeatures } from './online-features.ts';
import { runServingProcess } from './serving-program.ts';

runServingProcess(onlineFeatures);
