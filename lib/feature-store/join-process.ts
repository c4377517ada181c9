/** The program beside `join-aside.ts`: joins feature views to a table. */
import { answering } from '../processes/aside.ts';
import { joinFeatures } from './join-features.ts';
import { joinJob } from './join-job.ts';

answering((question, progress) => joinFeatures(joinJob.parse(question), (rows) => progress({ rows })));
