/**
 * Reads sources in a process of its own, as a worker with another environment would: `sources-reader.ts SOURCES`, a
 * JSON list as in a spec. Prints for each its rows, or code and words of the error.
 */
import { z } from 'zod';
import { source } from '../../contracts/spec/sources.ts';
import { Secrets } from '../../lib/secrets.ts';
import { DataFixture } from '../support/integration-data.ts';

const data = await DataFixture.create();
const secrets = new Secrets(process.env);
const answers: unknown[] = [];
for (const spec of z.array(source).parse(JSON.parse(process.argv[2] ?? '')))
  answers.push(
    await data.take(spec, { secrets }).then(
      async ({ table }) => ({ rows: await data.rows(table) }),
      ({ code, message, retryable }) => ({ code, message, retryable }),
    ),
  );
await data.close();
process.stdout.write(JSON.stringify(answers));
