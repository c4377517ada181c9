import { dependencies } from '../activities/dependencies.ts';
import { PerennialError } from '../contracts/errors.ts';
import { configFromEnv } from '../lib/config.ts';
import { personRequest, storePerson } from '../lib/erasure/person.ts';

/**
 * Reads as JSON from standard input who is to be erased, stores it encrypted, and answers with one line of JSON: the
 * reference to it, or the error. Neither line nor log says who it is.
 */
export async function runPerson(): Promise<void> {
  const { store } = dependencies(configFromEnv(process.env), () => {
    throw new PerennialError('StageFailed', 'this process does not talk to Temporal');
  });
  const text = Buffer.concat(await process.stdin.toArray()).toString('utf8');
  try {
    const request = await storePerson(await store(), parsed(text));
    process.stdout.write(`${JSON.stringify({ ok: true, request })}\n`);
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    process.stdout.write(`${JSON.stringify({ ok: false, code: error.code, message: error.message })}\n`);
  }
}

function parsed(text: string) {
  const request = personRequest.safeParse(JSON.parse(text));
  if (request.success) return request.data;
  // Only the places: an issue may quote the person.
  const places = request.error.issues.map(({ path, code }) => `${path.join('.')} (${code})`);
  throw new PerennialError('InputInvalid', `the person is not told as it should be: ${places.join(', ')}`);
}
