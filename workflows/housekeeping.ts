import { type HousekeepingResult, housekeepingInput } from '../contracts/housekeeping.ts';
import { collectGarbage } from './activities.ts';
import { parseInput } from './parse.ts';

/** Deletes artifacts that only failed or cancelled runs name. Scheduled once a day by the worker; `perennial gc` runs it now. */
export async function housekeeping(argument?: unknown): Promise<HousekeepingResult> {
  return collectGarbage(
    parseInput(housekeepingInput, argument ?? {}, 'the argument of workflow housekeeping'),
  );
}
