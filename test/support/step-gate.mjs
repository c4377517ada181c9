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

/** Which workflow is about which endpoint or pipeline, by its id. */
const PLACES = {
  endpoint: /^endpoint\/(.+)$/,
  rollout: /^(.+)\/rollout\/[^/]+$/,
  monitor: /^monitor\/(.+)-now$/,
  retraining: /^retraining\/([^/]+)$/,
  alert: /^alert\/(.+)_\d+_[0-9a-f]+\/[^/]+$/,
};

function placeOf({ workflowExecution, activityType }) {
  const id = workflowExecution?.workflowId ?? '';
  for (const [kind, pattern] of Object.entries(PLACES)) {
    const name = pattern.exec(id)?.[1];
    if (name) return { name, step: `${kind} ${activityType.replace('perennial.', '')}` };
  }
  return undefined;
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
