import type { ArtifactStore } from '../store/artifact-store.ts';
import { openStore, type StoreSettings } from '../store/open-store.ts';
import { AuditDocuments } from './audit-documents.ts';
import { AuditLog } from './audit-log.ts';

/**
 * The audit log of a configuration: in the artifact store where that is on S3, since several machines write it then;
 * else in the data directory.
 *
 * @param store the configuration's own, where it is open already
 */
export async function openAuditLog(
  settings: StoreSettings,
  store: () => Promise<ArtifactStore> = () => openStore(settings),
): Promise<AuditLog> {
  return settings.artifactStore?.kind === 's3'
    ? new AuditLog(new AuditDocuments((await store()).documents))
    : AuditLog.in(settings.dataDir);
}
