import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Preloaded into a worker or a model server: holds activities before or after their work, as the plan of a
 * StepGate says, so that a test can end a process exactly there.
 */
const folder = process.env.PERENNIAL_TEST_GATE;
const { Worker } = createRequire(import.meta.url)('@temporalio/worker');
const { Context } = createRequire(import.meta.url)('@temporalio/activity');
const POLL_MS = 50;

const planned = (name) => {
  try {
    return JSON.parse(readFileSync(join(folder, 'plans', `${name}.json`), 'utf8'));
  } catch {
    return undefined;
  }
};

/** `endpoint/NAME` and `NAME/rollout/VERSION` are about NAME. */
function placeOf({ workflowExecution, activityType }) {
  const id = workflowExecution?.workflowId ?? '';
  const endpoint = /^endpoint\/(.+)$/.exec(id)?.[1];
  const rollout = /^(.+)\/rollout\/[^/]+$/.exec(id)?.[1];
  const name = endpoint ?? rollout;
  return (
    name && { name, step: `${endpoint ? 'endpoint' : 'rollout'} ${activityType.replace('perennial.', '')}` }
  );
}

async function pass(moment, place) {
  const plan = planned(place.name);
  if (!plan) return;
  if (plan.record) appendFileSync(join(folder, 'steps', place.name), `${place.step} ${moment}\n`);
  if (plan.hold !== `${place.step} ${moment}`) return;
  const open = join(folder, 'open', plan.round);
  const held = join(folder, 'held', place.name);
  // Once: what comes again after the process ended must go through.
  if (existsSync(open) || existsSync(held)) return;
  writeFileSync(held, '');
  while (!existsSync(open)) {
    Context.current().heartbeat();
    await sleep(POLL_MS);
  }
}

if (folder) {
  const gate = () => ({
    inbound: {
      execute: async (input, next) => {
        const place = placeOf(Context.current().info);
        if (place) await pass('before', place);
        const answer = await next(input);
        if (place) await pass('after', place);
        return answer;
      },
    },
  });
  const create = Worker.create;
  Worker.create = (options) =>
    create.call(Worker, {
      ...options,
      interceptors: { ...options.interceptors, activity: [...(options.interceptors?.activity ?? []), gate] },
    });
}
