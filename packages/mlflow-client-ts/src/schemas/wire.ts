import { z } from 'zod';

/**
 * 64-bit integers arrive as numbers or, in protobuf's JSON, as strings. Values beyond
 * 2^53 lose their last digits; MLflow uses none where the digits matter.
 */
export const int64 = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+$/)
    .transform(Number),
]);

/** Doubles arrive as numbers, or as text where JSON has no number for them. */
export const double = z.union([
  z.number(),
  z.string().transform((text, context): number => {
    if (text === 'NaN') return Number.NaN;
    if (text === 'Infinity') return Number.POSITIVE_INFINITY;
    if (text === '-Infinity') return Number.NEGATIVE_INFINITY;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value)) context.addIssue({ code: 'custom', message: `not a number: "${text}"` });
    return value;
  }),
]);

/** Optional text. */
export const text = z.string().optional();

/** Protobuf sends text that was never set as an empty string. */
export function filled(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** Key/value pairs as MLflow lists them; protobuf leaves an empty value out. */
export const pair = z.object({ key: z.string(), value: z.string().default('') });

/** A list of pairs read as one record; an absent list is an empty record. */
export const pairRecord = z
  .array(pair)
  .default([])
  .transform((pairs) => toRecord(pairs));

/** Builds a record of own properties, whatever the keys are called. */
export function toRecord(pairs: readonly { key: string; value: string }[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

/** A record as MLflow's list of pairs; undefined when there is nothing to send. */
export function toPairs(
  record: Readonly<Record<string, string>> | undefined,
): { key: string; value: string }[] | undefined {
  if (record === undefined) return undefined;
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

/** A page whose items are under `field`. */
export function page<T>(field: string, item: z.ZodType<T>) {
  return z
    .object({ next_page_token: z.string().optional() })
    .loose()
    .transform((wire, context): { items: T[]; nextPageToken: string | undefined } => {
      const parsed = z.array(item).safeParse(wire[field] ?? []);
      if (!parsed.success) {
        for (const issue of parsed.error.issues) {
          context.addIssue({ code: 'custom', message: issue.message, path: [field, ...issue.path] });
        }
        return z.NEVER;
      }
      return { items: parsed.data, nextPageToken: wire.next_page_token };
    });
}

/** An answer that wraps its one object under `field`. */
export function wrapped<T>(field: string, item: z.ZodType<T>) {
  return z
    .object({})
    .loose()
    .transform((wire, context): T => {
      const parsed = item.safeParse(wire[field]);
      if (!parsed.success) {
        for (const issue of parsed.error.issues) {
          context.addIssue({ code: 'custom', message: issue.message, path: [field, ...issue.path] });
        }
        return z.NEVER;
      }
      return parsed.data;
    });
}
