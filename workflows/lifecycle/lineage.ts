import type { z } from 'zod';
import { lineageInput, type artifactStates as states } from '../../contracts/lineage.ts';
import { artifactStates } from '../activities.ts';
import { parseInput } from '../parse.ts';

/** Tells what became of artifacts: stored, gone, or replaced by an erasure; `perennial lineage` runs it. */
export async function lineage(argument?: unknown): Promise<z.output<typeof states>> {
  return artifactStates(parseInput(lineageInput, argument, 'the argument of workflow lineage'));
}
