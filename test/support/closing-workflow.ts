import { condition, defineUpdate, setHandler } from '@temporalio/workflow';

/** Ends in the task in which it is asked. */
export async function closing(): Promise<string> {
  let asked = 0;
  setHandler(defineUpdate<string>('ask'), () => {
    asked += 1;
    return `asked ${asked} times`;
  });
  await condition(() => asked > 0);
  return 'closed';
}
