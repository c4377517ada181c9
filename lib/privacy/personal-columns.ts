import type { PersonalFinding } from '../../contracts/privacy.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { PrivacySpec } from '../../contracts/spec/privacy.ts';
import type { Database } from '../duckdb/database.ts';
import { detectPersonal } from './detect.ts';

/** Which columns of a pipeline's tables are personal: those that the spec declares, and those that are found. */
export class PersonalColumns {
  constructor(private readonly privacy: PrivacySpec) {}

  /** Looks into a table; nothing where detection is off. */
  async findings(
    database: Database,
    relation: string,
    columns: TableRef['columns'],
  ): Promise<PersonalFinding[]> {
    const { verified, likely, minConfidence } = this.privacy.detection;
    if (verified === 'off' && likely === 'off') return [];
    return detectPersonal(database, relation, columns, { minConfidence });
  }

  /** Names of personal columns, in the table's order; the subject's are among them. */
  among(columns: TableRef['columns'], findings: readonly PersonalFinding[]): string[] {
    const known = new Set([
      ...Object.keys(this.privacy.columns),
      ...this.privacy.subject,
      ...findings.map((finding) => finding.column),
    ]);
    return columns.map(({ name }) => name).filter((name) => known.has(name));
  }

  /** Those of {@link among} that still say something of one person after the actions: neither dropped nor masked. */
  remaining(columns: TableRef['columns'], findings: readonly PersonalFinding[]): string[] {
    return this.among(columns, findings).filter((name) => {
      const action = Object.hasOwn(this.privacy.columns, name)
        ? this.privacy.columns[name]?.action
        : undefined;
      return action !== 'drop' && action !== 'mask';
    });
  }

  /**
   * Names of personal columns of a source, which may have columns that the joined table has not, and others under
   * the names of `privacy.subjectIn`.
   */
  ofSource(source: string, columns: TableRef['columns'], findings: readonly PersonalFinding[]): string[] {
    const renamed = new Set(
      Object.hasOwn(this.privacy.subjectIn, source)
        ? Object.values(this.privacy.subjectIn[source] ?? {})
        : [],
    );
    const personal = new Set(this.among(columns, findings));
    return columns.map(({ name }) => name).filter((name) => personal.has(name) || renamed.has(name));
  }
}
