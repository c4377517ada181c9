import { z } from 'zod';

/** Fewer rows say little, and their values may be those of one person. */
const minRows = z.number().int().min(10).max(1_000_000).default(100).meta({
  description: 'A group with fewer rows is reported as insufficient, without its value, and not gated.',
});

const mandatory = z.boolean().default(false).meta({
  description: 'A gate on slices fails where this one is insufficient: has too few rows, or one class.',
});

const bins = z
  .union([
    z.number().int().min(2).max(20),
    z
      .array(z.number())
      .min(1)
      .max(20)
      .refine((edges) => edges.every((edge, i) => i === 0 || edge > (edges[i - 1] ?? edge)), {
        error: 'edges ascend',
      }),
  ])
  .default(4)
  .meta({
    description:
      'Of numbers and dates: so many bins with about as many rows each, or the edges between bins.',
  });

const columnSlices = z.strictObject({
  columns: z.array(z.string().min(1)).min(1).max(4).meta({
    description: 'Each combination of their values is a slice; numbers and dates are put into bins.',
  }),
  bins,
  minRows,
  mandatory,
});

const conditionSlice = z.strictObject({
  name: z.string().trim().min(1).max(100),
  where: z
    .string()
    .min(1)
    .max(2_000)
    .meta({ description: "SQL (DuckDB's dialect) that is true for the rows of the slice." }),
  minRows,
  mandatory,
});

/** A part of the test rows that is looked at by itself. */
export const sliceSpec = z.union([columnSlices, conditionSlice]);
export type SliceSpec = z.infer<typeof sliceSpec>;

/** How bad slices are looked for where nobody named them. */
export const worstSlicesSpec = z
  .strictObject({
    minRows,
    features: z
      .union([z.literal(1), z.literal(2)])
      .default(2)
      .meta({
        description: 'Up to so many features make a slice.',
      }),
    alpha: z.number().min(0.0001).max(0.2).default(0.05).meta({
      description: 'False discovery rate among the slices that are reported (Benjamini and Hochberg 1995).',
    }),
    limit: z.number().int().min(1).max(20).default(10).meta({ description: 'Slices that are reported.' }),
  })
  .prefault({});
export type WorstSlicesSpec = z.infer<typeof worstSlicesSpec>;

/** The groups that fairness gates compare. */
export const fairnessSpec = z.strictObject({
  columns: z
    .array(z.string().min(1))
    .min(1)
    .max(20)
    .meta({ description: 'Each by itself; numbers and dates are put into bins.' }),
  bins,
  minRows,
});
