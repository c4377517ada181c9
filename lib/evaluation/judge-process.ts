/** The program of a judge (see `judge-aside.ts`). */
import { answering } from '../processes/aside.ts';
import { doJob, type JudgeJob } from './judge-job.ts';

answering(async (job) => doJob(job as JudgeJob));
