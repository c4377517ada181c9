import { z } from 'zod';

/** A value that a trainer takes for a parameter. */
export const parameterValue = z.union([z.number(), z.string(), z.boolean()]);
export type ParameterValue = z.infer<typeof parameterValue>;

export const parameters = z.record(z.string().min(1).max(80), parameterValue);
export type Parameters = z.infer<typeof parameters>;

const when = z
  .record(z.string(), z.union([parameterValue, z.array(parameterValue).min(1)]))
  .optional()
  .meta({
    description:
      'The parameter is searched only where these parameters have this value (or one of these values); else the trainer is not given it. They stand before it in the space.',
  });
const log = z
  .boolean()
  .optional()
  .meta({ description: 'Uniform in the logarithm; both ends are above 0. Default false.' });

const ends = <N extends z.ZodNumber>(number: N) =>
  z
    .tuple([number, number])
    .refine(([low = 0, high = 0]) => low < high, { error: 'the lower end first, then a higher one' });

const logNeedsPositive = ({
  log: logarithmic,
  ends: [low],
}: {
  log: boolean | undefined;
  ends: [number, number];
}) => !logarithmic || low > 0;

const floatDimension = z
  .strictObject({ float: ends(z.number()), log, when })
  .refine((value) => logNeedsPositive({ log: value.log, ends: value.float }), {
    error: 'log needs ends above 0',
  });
const intDimension = z
  .strictObject({
    int: ends(z.number().int()),
    step: z.number().int().min(1).optional().meta({ description: 'Default 1; not with log.' }),
    log,
    when,
  })
  .refine((value) => logNeedsPositive({ log: value.log, ends: value.int }), {
    error: 'log needs ends above 0',
  })
  .refine((value) => !(value.log && value.step !== undefined), { error: 'step or log, not both' });
const choiceDimension = z.strictObject({ choice: z.array(parameterValue).min(1).max(100), when });

/** The values that one parameter may take. */
export const dimension = z.union([floatDimension, intDimension, choiceDimension]);
export type Dimension = z.infer<typeof dimension>;

/** The parameters to be searched, by name. */
export const searchSpace = z
  .record(z.string().min(1).max(80), dimension)
  .refine((space) => Object.keys(space).length <= 50, { error: 'at most 50 parameters' })
  .superRefine((space, context) => {
    const seen = new Set<string>();
    for (const [name, { when: conditions = {} }] of Object.entries(space)) {
      for (const other of Object.keys(conditions))
        if (!seen.has(other))
          context.addIssue({
            code: 'custom',
            path: [name, 'when', other],
            message: `no parameter ${other} stands before ${name} in the space`,
          });
      seen.add(name);
    }
  });
export type SearchSpace = z.infer<typeof searchSpace>;

const common = {
  space: searchSpace.optional().meta({
    description: "By default the trainer's own space, without the parameters that the candidate fixes.",
  }),
  trials: z.number().int().min(1).max(10_000).optional().meta({
    description: 'Trials of this candidate at the most; training.budget bounds all of them together.',
  }),
};

const halving = z
  .strictObject({
    reduction: z.number().int().min(2).max(10).default(3).meta({
      description: 'One of so many trials goes on at each rung.',
    }),
    minIterations: z.number().int().min(1).optional().meta({
      description: 'Iterations at the first rung; by default maxIterations / reduction³, at least 1.',
    }),
  })
  .prefault({});
export type Halving = z.infer<typeof halving>;

/**
 * How parameters are searched. `grid`: every combination, in order. `random`: uniform draws. `tpe`: the tree-structured
 * Parzen estimator of Optuna (Bergstra et al. 2011). `halving`: asynchronous successive halving (ASHA, Li et al. 2020):
 * trials are stopped at rungs of iterations where they are not among the best there so far.
 */
export const searchSpec = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('grid'),
    ...common,
    points: z.number().int().min(2).max(100).default(5).meta({
      description: 'Values of each float or int parameter, evenly spaced (with log in the logarithm).',
    }),
  }),
  z.strictObject({ method: z.literal('random'), ...common }),
  z.strictObject({
    method: z.literal('tpe'),
    ...common,
    startup: z.number().int().min(1).max(1_000).default(8).meta({
      description: 'Random trials before the first one that the estimator proposes.',
    }),
  }),
  z.strictObject({
    method: z.literal('halving'),
    ...common,
    ...halving.unwrap().shape,
    sampler: z
      .enum(['random', 'tpe'])
      .default('random')
      .meta({ description: 'Who proposes the parameters.' }),
  }),
]);
export type SearchSpec = z.infer<typeof searchSpec>;
