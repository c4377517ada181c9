import type { HostileInput } from './hostile-inputs.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const BINARY = { 'content-type': 'application/octet-stream' };
const JSON_LENGTH = 'inference-header-content-length';

/**
 * Bodies and headers that are none, whatever the columns are.
 *
 * @param sound a body that is one
 */
export function hostileBodies(sound: string): HostileInput[] {
  const deep = 100_000;
  const bodies: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
    'an empty body': '',
    'half of a body': sound.slice(0, Math.floor(sound.length / 2)),
    'two bodies in one': sound + sound,
    'no JSON': 'perennial',
    'JSON that is null': 'null',
    'a number': '42',
    'a list': '[]',
    'a text': '"inputs"',
    'an object without inputs': '{}',
    'inputs that are no list': '{"inputs":{"a":1}}',
    'no inputs': '{"inputs":[]}',
    'inputs that are numbers': '{"inputs":[1,null]}',
    'inputs twice': `{"inputs":[],${sound.slice(1)}`,
    'lists in lists without end': '['.repeat(deep),
    'objects in objects': `${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}`,
    'lists in lists as data': `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":${'['.repeat(deep)}${']'.repeat(deep)}}]}`,
    'a prototype': `{"__proto__":{"inputs":1},${sound.slice(1)}`,
    'an output that there is not': `{"outputs":[{"name":"perennial-no-such-output"}],${sound.slice(1)}`,
    'outputs that are no list': `{"outputs":7,${sound.slice(1)}`,
    'an id that is no text': `{"id":{},${sound.slice(1)}`,
    'a huge id': `{"id":"${'i'.repeat(100_000)}",${sound.slice(1)}`,
    'bytes that are no UTF-8': new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0xc0, 0x80, 0x22, 0x7d]),
    noughts: new Uint8Array(1_000),
    'a mark of byte order': `\ufeff${sound}`,
  };
  const headers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'a content type that is not taken': { 'content-type': 'text/html' },
    'a content type that is none': { 'content-type': 'a/b/c;;=' },
    'an encoding that it is not': { ...JSON_TYPE, 'content-encoding': 'gzip' },
    'an encoding that there is not': { ...JSON_TYPE, 'content-encoding': 'perennial' },
    'a time that is none': { ...JSON_TYPE, 'perennial-timeout-ms': '-1' },
    'an entity that is not encoded': { ...JSON_TYPE, 'perennial-entity': '%zz' },
    'a length of the JSON beyond the body': { ...BINARY, [JSON_LENGTH]: '999999999' },
    'a length of the JSON within the JSON': { ...BINARY, [JSON_LENGTH]: '3' },
    'a length of the JSON that is none': { ...BINARY, [JSON_LENGTH]: '-1' },
    'a length of the JSON in words': { ...BINARY, [JSON_LENGTH]: 'all of it' },
  };
  const tensor = '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":';
  return [
    ...Object.entries(bodies).map(([name, body]) => ({ name, request: { body, headers: JSON_TYPE } })),
    ...Object.entries(headers).map(([name, own]) => ({ name, request: { body: sound, headers: own } })),
    ...['4', '1e300', '-4', '"4"', '{}'].map((size) => {
      const body = `${tensor}${size}}}]}`;
      const own = { ...BINARY, [JSON_LENGTH]: String(body.length) };
      return { name: `a binary tensor of ${size} bytes that are not there`, request: { body, headers: own } };
    }),
    { name: 'a version that there is not', request: { body: sound, version: 'perennial-no-such-version' } },
    { name: 'a version with a path in it', request: { body: sound, version: '../../../v2/health/live' } },
    { name: 'a GET', request: { body: '', method: 'GET' } },
    { name: 'a PUT', request: { body: sound, method: 'PUT' } },
  ];
}
