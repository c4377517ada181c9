import { type Documents, documentPath, parsedDocument, type StoredDocument } from './documents.ts';
import type { S3Bucket } from './s3-bucket.ts';

/** Documents as objects; what must not overwrite is a conditional write (`If-Match`, `If-None-Match`). */
export class S3Documents implements Documents {
  constructor(private readonly bucket: S3Bucket) {}

  async read(key: string): Promise<StoredDocument | undefined> {
    const path = documentPath(key);
    const found = await this.bucket.text(path);
    return found && { value: parsedDocument(found.text, `${this.bucket.root}/${path}`), version: found.etag };
  }

  async write(
    key: string,
    value: unknown,
    options?: { ifVersion: string | null },
  ): Promise<string | undefined> {
    const condition =
      options === undefined
        ? {}
        : options.ifVersion === null
          ? ({ IfNoneMatch: '*' } as const)
          : { IfMatch: options.ifVersion };
    return this.bucket.putText(documentPath(key), JSON.stringify(value), condition);
  }

  async *keys(prefix: string): AsyncGenerator<string> {
    documentPath(`${prefix}x`);
    for await (const { key } of this.bucket.list(prefix))
      if (key.endsWith('.json')) yield key.slice(0, -'.json'.length);
  }

  async remove(key: string, options?: { ifVersion: string }): Promise<boolean> {
    return this.bucket.remove(documentPath(key), options ? { IfMatch: options.ifVersion } : {});
  }
}
