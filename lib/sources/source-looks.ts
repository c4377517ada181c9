import { PerennialError } from '../../contracts/errors.ts';
import { type SourceLook, type SourceLooks, sourceLooks } from '../../contracts/new-data.ts';
import type { Documents } from '../store/documents.ts';
import { hasNews } from './look.ts';

/** Names of documents begin with a letter or a digit. */
const keyOf = (pipeline: string): string => `new-data/of-${pipeline}`;

/** What was seen of the sources of pipelines, as documents in the artifact store. */
export class RememberedLooks {
  constructor(private readonly documents: Documents) {}

  /** What was seen last; `undefined` where nothing was. */
  async read(pipeline: string): Promise<(SourceLooks & { version: string }) | undefined> {
    const key = keyOf(pipeline);
    const found = await this.documents.read(key);
    if (!found) return undefined;
    const parsed = sourceLooks.safeParse(found.value);
    if (parsed.success) return { ...parsed.data, version: found.version };
    throw new PerennialError(
      'ArtifactCorrupt',
      `the document ${key} is not what it should be; delete it: the next look then only remembers`,
    );
  }

  /**
   * Remembers what was seen where it differs. The first look at a source only remembers it.
   *
   * @param look who looks: the same one is told the same again, should it not have heard
   * @throws PerennialError `StoreUnavailable` (retryable) where somebody else looked at the same time
   */
  async remember(
    pipeline: string,
    look: string,
    before: (SourceLooks & { version: string }) | undefined,
    looks: Readonly<Record<string, SourceLook>>,
  ): Promise<{ found: boolean; words: string }> {
    // A source that says nothing for once has not forgotten what it said.
    const now = Object.fromEntries(
      Object.entries(looks).map(([name, seen]) => [
        name,
        seen.identity === null ? (before?.sources[name] ?? seen) : seen,
      ]),
    );
    const news = Object.entries(now).flatMap(([name, seen]) =>
      hasNews(before?.sources[name], seen) ? [name] : [],
    );
    if (before && news.length === 0) {
      if (before.told?.look === look) return { found: true, words: before.told.words };
      if (JSON.stringify(before.sources) === JSON.stringify(now))
        return { found: false, words: nothing(looks) };
    }
    const words = news.length > 0 ? `${news.join(', ')}: new or changed` : '';
    const next: SourceLooks = {
      schemaVersion: 1,
      sources: { ...now },
      told: news.length > 0 ? { look, words } : (before?.told ?? null),
    };
    const written = await this.documents.write(keyOf(pipeline), next, {
      ifVersion: before?.version ?? null,
    });
    if (written === undefined)
      throw new PerennialError(
        'StoreUnavailable',
        `the sources of ${pipeline} are being looked at by somebody else; they are looked at again`,
        true,
      );
    if (news.length > 0) return { found: true, words };
    return { found: false, words: nothing(looks) };
  }
}

function nothing(looks: Readonly<Record<string, SourceLook>>): string {
  const mute = Object.entries(looks).flatMap(([name, { identity }]) => (identity === null ? [name] : []));
  return mute.length === 0
    ? 'nothing is new'
    : `nothing is new; ${mute.join(', ')} cannot be told about without being read: give incremental.watermark, or signal the kind new-data`;
}
