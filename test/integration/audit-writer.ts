import { AuditLog } from '../../lib/audit/audit-log.ts';
import { auditEntryOf } from '../support/audit-entries.ts';

/** A process that writes into an audit log without end, batches of different sizes, and says how far it has come. */
const [dataDir = '', stream = ''] = process.argv.slice(2);
const log = AuditLog.in(dataDir);
process.stdout.write('ready\n');
for (let from = 0; ; ) {
  const entries = Array.from({ length: 1 + (from % 7) }, (_, i) => auditEntryOf(from + i));
  from = (await log.append({ stream, from, entries })).next;
  process.stdout.write(`${from}\n`);
}
