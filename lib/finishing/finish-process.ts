/** The program beside `finish-aside.ts`. */
import { answering } from '../processes/aside.ts';
import { type FinishQuestion, finishingOf } from './finish-job.ts';

answering(async (question) => finishingOf(question as FinishQuestion));
