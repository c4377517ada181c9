import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pipelineJsonSchema } from '../contracts/spec/json-schema.ts';

/** Writes the JSON Schema of pipeline specs for editors; a test checks that it is current. */
writeFileSync(
  fileURLToPath(new URL('../contracts/spec/pipeline.schema.json', import.meta.url)),
  `${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`,
);
