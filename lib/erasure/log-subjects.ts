import { z } from 'zod';
import { type Documents, updateDocument } from '../store/documents.ts';
import { type SubjectColumn, type SubjectSpec, subjectColumn } from './subject-column.ts';

/** By pipeline: the columns of the pushed rows that identify people. */
const logSubjects = z.record(z.string(), z.array(subjectColumn));
export type LogSubjectsOf = z.infer<typeof logSubjects>;

const keyOf = (log: string): string => `event-subjects/${log}`;

/**
 * Which columns of an event log identify people: who pushes rows does not say, but a pipeline that reads the log does.
 *
 * @example
 * await new LogSubjects(store.documents).record(spec, 'orders', subjectColumns(spec, names, { state: 'raw', source }));
 */
export class LogSubjects {
  constructor(private readonly documents: Documents) {}

  /** Nothing for a pipeline without `privacy.subject`; the same once more changes nothing. */
  async record(spec: SubjectSpec, log: string, subject: readonly SubjectColumn[]): Promise<void> {
    if (spec.privacy.subject.length === 0) return;
    await updateDocument(this.documents, keyOf(log), (value) => {
      const known = value === undefined ? {} : logSubjects.parse(value);
      const merged = { ...known, [spec.name]: [...subject] };
      return JSON.stringify(merged) === JSON.stringify(known) ? undefined : merged;
    });
  }

  /** `undefined` where no pipeline with `privacy.subject` has read the log. */
  async of(log: string): Promise<LogSubjectsOf | undefined> {
    const found = await this.documents.read(keyOf(log));
    return found && logSubjects.parse(found.value);
  }
}
