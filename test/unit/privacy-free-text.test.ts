import { describe, expect, it } from 'vitest';
import type { PersonalFinding } from '../../contracts/privacy.ts';
import type { ColumnSample } from '../../lib/privacy/detection/column-sample.ts';
import { freeTextFindings } from '../../lib/privacy/detection/free-text.ts';
import { noNeedles } from '../../lib/privacy/detection/needles.ts';

const found = (texts: readonly string[]): PersonalFinding[] => {
  const sample: ColumnSample = {
    name: 'notes',
    family: 'text',
    present: texts.length,
    withAt: 0,
    values: texts.map((text) => ({ text, rows: 1 })),
    sampledRows: texts.length,
    emails: noNeedles(),
    numbers: noNeedles(),
    codes: noNeedles(),
  };
  return freeTextFindings(sample).map(({ finding }) => finding);
};
const FILLER = [
  'the delivery was late and the box was wet',
  'Windows Server 2019 crashed in Conference Room 12',
  'Sehr geehrte Damen und Herren, anbei die Neue Preisliste',
  'Hello Team, the Red Bull order 4711 from New York is here',
];
const kinds = (texts: readonly string[]) => found([...FILLER, ...texts]).map(({ kind }) => kind);

describe('names inside of texts', () => {
  it.each([
    ['a title', ['please call Mr Zxyvan back', 'spoke to Dr. Qorbin today', 'Frau Ültzen bittet um Storno']],
    ['an introduction', ['my name is Zxyvan Qor', 'ich heiße Ültzen', "bonjour, je m'appelle Qorbine Zed"]],
    [
      'a greeting and a known name',
      ['Dear Anna, the part', 'Hallo Peter, die Ware', 'Hola Carmen, ya llegó'],
    ],
    ['a known pair', ['by Anna Smith at noon', 'with Peter Müller today', 'for Carmen García only']],
  ])('are told by %s', (_, texts) => {
    expect(kinds(texts.map((text) => `${text} and more`))).toEqual(['person_name']);
  });

  it('are told with the share of texts, never as verified, never with a name in the evidence', () => {
    const [finding] = found([...FILLER, 'please call Mr Zxyvan', 'see Dr. Qorbin now', 'and Mrs Ultzen too']);
    expect(finding).toMatchObject({ verified: false, within: 'text', share: 3 / 7 });
    expect(JSON.stringify(finding)).not.toMatch(/Zxyvan|Qorbin|Ultzen/);
  });

  it('are not told from one or two, from capitals, or where nobody is addressed', () => {
    expect(kinds(['please call Mr Zxyvan', 'spoke to Dr. Qorbin'])).toEqual([]);
    expect(
      kinds(['Dear Sir, Dear Madam', 'Hallo Kunde hier', 'Estimado Cliente hola', 'Dear Team x']),
    ).toEqual([]);
    expect(
      kinds(['Santa Cruz Bikes', 'Black Friday Sale', 'Mercedes Benz Arena', 'Great Barrier Reef']),
    ).toEqual([]);
  });

  it('are not taken from streets that are named after people', () => {
    const streets = ['Calle Antonio García 12', 'Rua Anna Silva, 7', 'Via Marco Rossi 3'];
    expect(kinds(streets.map((street) => `entregar en ${street} hoy`))).toEqual(['address']);
  });
});

describe('streets inside of texts', () => {
  it.each([
    ['English', ['at 12 Baker Street', 'to 7 Old Mill Road', 'from 221b Elm Avenue']],
    ['German', ['nach Hauptstraße 12', 'am Lindenweg 3a', 'Am Alten Markt Platz 7 und Goethestr. 5']],
    ['French', ['au 12 rue de la Paix', '7 bis avenue Foch', '3, boulevard des Italiens']],
    ['Spanish and Italian', ['en Calle Mayor 12', 'in Via Roma 3', 'na Rua Augusta, 7']],
    ['Dutch and Danish', ['naar Dorpsstraat 12', 'til Bakkevej 7', 'naar Herengracht 3']],
  ])('are told in %s', (_, texts) => {
    expect(kinds(texts.map((text) => `please deliver ${text} before noon`))).toEqual(['address']);
  });

  it('are not told from numbers and words', () => {
    expect(kinds(['Lot 12 on the way 7', 'Room 5 place 3', 'Vertrag 12 am Montag', 'by 10 am'])).toEqual([]);
  });
});

it('short codes are no free text', () => {
  expect(found(['Mr A', 'Mr B', 'Mr C', 'Dr Dee', 'Dr Eff'])).toEqual([]);
});
