import { Worker } from '@temporalio/worker';
const original = Worker.prototype.run;
let times = 0;
Worker.prototype.run = async function () {
  const running = original.call(this);
  if (times++ === 0) { await new Promise((r) => setTimeout(r, 4000)); this.shutdown(); await running; throw new Error('fatal, as by a bug'); }
  return running;
};
