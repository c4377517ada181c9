import { z } from 'zod';
import { erasureFindings, modelOfPerson } from '../../contracts/erasure.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';

export const certificate = z.strictObject({
  certificate: z.string(),
  /** ISO time at which the erasure began. */
  at: z.string(),
  by: z.string(),
  reason: z.string(),
  complete: z.boolean(),
  findings: erasureFindings.extend({ models: z.array(modelOfPerson) }),
  /** Digests of what was erased, and of what took its place. */
  replaced: z.array(z.strictObject({ from: z.string(), to: z.string().nullable() })),
});
export type Certificate = z.infer<typeof certificate>;

/** The key of a certificate among the documents of the store. */
export const certificateKey = (number: string): string => `certificates/${number}`;

/** Writes what an erasure did, with the digests of all that it replaced. It says nothing about the person. */
export async function writeCertificate(
  { documents, erasures }: Pick<ArtifactStore, 'documents' | 'erasures'>,
  facts: Omit<Certificate, 'replaced'>,
): Promise<Certificate> {
  const replaced: Certificate['replaced'] = [];
  for await (const erasure of erasures.all())
    if (erasure.certificate === facts.certificate)
      replaced.push({ from: erasure.sha256, to: erasure.replacement?.sha256 ?? null });
  replaced.sort((a, b) => (a.from < b.from ? -1 : 1));
  const written = certificate.parse({ ...facts, replaced });
  await documents.write(certificateKey(facts.certificate), written);
  return written;
}
