import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resourceTaskQueue } from '../../contracts/names.ts';
import { ActivityBench, WorkerProcess } from '../support/activity-bench.ts';

const SCRIPT = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
const TASK_QUEUE = 'team';

let bench: ActivityBench;
let folder = '';
let worker: WorkerProcess;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-resources-'));
  bench = await ActivityBench.start();
  worker = await WorkerProcess.start(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), SCRIPT, 'worker'],
    {
      TEMPORAL_ADDRESS: bench.address,
      TEMPORAL_NAMESPACE: 'default',
      PERENNIAL_DATA_DIR: folder,
      PERENNIAL_TASK_QUEUE: TASK_QUEUE,
      PERENNIAL_RESOURCES: 'gpu,big-memory',
    },
  );
});
afterAll(async () => {
  await worker.stop('SIGKILL');
  await bench.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a worker of resource classes', () => {
  it.each(['cpu', 'gpu', 'big-memory'])('runs activities of class %s', async (name) => {
    const taskQueue = resourceTaskQueue(TASK_QUEUE, name);
    expect(await bench.run({ type: 'perennial.listCache', input: {}, taskQueue })).toMatchObject({
      total: 0,
    });
  });

  it('polls the queues of its classes for activities alone', async () => {
    const pollers = async (taskQueue: string, taskQueueType: 1 | 2) =>
      (
        await bench.client.workflowService.describeTaskQueue({
          namespace: 'default',
          taskQueue: { name: taskQueue },
          taskQueueType,
        })
      ).pollers?.length ?? 0;
    expect(await pollers(`${TASK_QUEUE}-gpu`, 2)).toBeGreaterThan(0);
    expect(await pollers(`${TASK_QUEUE}-gpu`, 1)).toBe(0);
    expect(await pollers(TASK_QUEUE, 1)).toBeGreaterThan(0);
    expect(await pollers(`${TASK_QUEUE}-tpu`, 2)).toBe(0);
  });

  it('ends well when it is told to', async () => expect(await worker.stop()).toBe(0));
});
