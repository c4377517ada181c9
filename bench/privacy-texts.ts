import { allFakers, type Faker } from '@faker-js/faker';
import type { PersonalKind } from '../contracts/privacy.ts';
import type { KnownColumn } from './privacy-corpus.ts';

/** Sentences of one language: with a person, an address or a phone number in them, and with nothing personal. */
interface Language {
  /** The locale of the people. */
  locale: keyof typeof allFakers;
  person: readonly string[];
  address: readonly string[];
  phone: readonly string[];
  /** Capitalised words, towns, brands, numbers of all kinds. */
  plain: readonly string[];
}

/** Rules for free text were written while looking at these. */
const DEVELOPMENT: readonly Language[] = [
  {
    locale: 'en_US',
    person: [
      'Spoke to {name} about the refund.',
      'Dear Mr {family}, your parcel has left.',
      'Call back {name} tomorrow',
      'Thanks, {given} {family}',
      'Hi {given}, the part is in.',
    ],
    address: ['Deliver to {street} please.', 'Customer moved to {street} last week.'],
    phone: ['Call me at {phone} after five.', 'phone: {phone}, in the morning'],
    plain: [
      'Order 4711-22 delayed by Red Bull Racing at New York.',
      'Windows Server 2019 crashed after Build 17763.',
      'The San Francisco store sold 120 items for $35.90.',
      'Invoice INV-2023-0042 paid on 12.03.2023',
      'Firmware v2.14.3 needs Google Chrome or Microsoft Edge.',
      'Monday Morning meeting moved to Conference Room 12',
      'Hello team, the Quarterly Report is due.',
      'Blue Ridge Mountains tour, 5 Star Hotel, Main Building',
      'Serial 8812-4471-0093, rack 12-04-77',
    ],
  },
  {
    locale: 'de',
    person: [
      'Rückruf bei {name} wegen Rechnung.',
      'Sehr geehrter Herr {family}, Ihr Paket ist unterwegs.',
      'Frau {family} bittet um Storno',
      'Viele Grüße {given} {family}',
      'Hallo {given}, die Ware ist da.',
    ],
    address: ['Bitte an {street} liefern.', 'Neue Anschrift: {street}'],
    phone: ['Erreichbar unter {phone} ab 17 Uhr', 'Tel.: {phone}'],
    plain: [
      'Lieferung der Neuen Serie verzögert sich bis Montag.',
      'Kunde wünscht Rückgabe der Grünen Jacke Größe 42',
      'Deutsche Bahn Zug 578 Richtung Frankfurt Hauptbahnhof',
      'Vertrag 12 wurde am 03.04.2022 verlängert',
      'Sehr geehrte Damen und Herren, anbei die Unterlagen.',
      'Artikel 4003994155486 nicht im Lager Hamburg Nord',
      'Hallo Team, bitte Bestellung 2201-88 prüfen',
      'Rechnung 20230815 über 129,90 Euro',
    ],
  },
  {
    locale: 'fr',
    person: [
      'Appeler {name} pour la facture.',
      'Bonjour Madame {family}, votre colis est parti.',
      'M. {family} demande un remboursement',
      'Cordialement, {given} {family}',
    ],
    address: ['Livrer au {street}.', 'Nouvelle adresse : {street}'],
    phone: ['Joignable au {phone} le soir', 'Tél. {phone}'],
    plain: [
      'Commande 2023-118 en retard à Lyon Part-Dieu.',
      'Bonjour à tous, la Réunion Mensuelle est reportée',
      'Le Petit Bateau taille 38 est épuisé',
      'Facture 88213 payée le 14/05/2022',
      'Air France vol AF1234 vers Nice Côte',
    ],
  },
  {
    locale: 'es',
    person: [
      'Llamar a {name} por la factura.',
      'Estimado Sr. {family}, su pedido ha salido.',
      'Un saludo, {given} {family}',
      'Hola {given}, ya llegó la pieza.',
    ],
    address: ['Entregar en {street}.', 'Se mudó a {street}'],
    phone: ['Teléfono: {phone}', 'Llamar al {phone} por la tarde'],
    plain: [
      'Pedido 55-2023 retrasado en Santa Cruz.',
      'Real Madrid camiseta talla 42 agotada',
      'Hola equipo, la Reunión General es el lunes',
      'Factura 7781 pagada el 02/03/2023',
      'Vuelo IB3456 a Buenos Aires',
    ],
  },
];

/** Never looked at while rules were written: other sentences, other languages, other locales. */
const HELD_OUT: readonly Language[] = [
  {
    locale: 'en_AU',
    person: [
      'Complaint raised by {name} at the counter',
      'Ms {family} would like a new quote',
      'My name is {given} {family} and the kettle broke',
      'Regards {given} {family}',
      'Approved by {name}, see attachment',
    ],
    address: [
      'Pick up from {street} before noon',
      'The meter at {street} was read.',
      'Lives at {street}, second floor',
    ],
    phone: ['ring {phone} when ready', 'Mobile {phone}', 'left a message on {phone}'],
    plain: [
      'General Electric Turbine GE90 inspected in Perth Western',
      'Great Barrier Reef tour sold out for Boxing Day',
      'Black Friday discount 20% on Apple Watch Series 7',
      'Section 12 of the Data Protection Act applies',
      'Lot 55-1209-884 expired 2022-11-30 10:15:00',
      'Austin Powers DVD, Jordan Sneakers, Mercedes Benz key ring',
      'Charlotte Airport, Virginia Beach and Florence Outlet',
      'GPS -33.86882, 151.20929 accuracy 12 m',
      'Ticket 20231104-000123 closed by Support Desk',
      'John Deere tractor 6120M with Henry Hoover',
      'Place 3 Court 4 Way 9 is broken',
      'ISBN 978-3-16-148410-0 reprinted, EAN 4006381333931',
    ],
  },
  {
    locale: 'it',
    person: [
      'Richiamare {name} per il preventivo',
      'Gentile Signora {family}, la ringraziamo.',
      'Cordiali saluti, {given} {family}',
      'Mi chiamo {given} {family}',
      'Il sig. {family} ha annullato',
    ],
    address: ['Consegnare in {street} entro sera', 'Residente in {street}'],
    phone: ['cell. {phone}', 'chiamare il numero {phone}'],
    plain: [
      'Banca Intesa Sportello 12 chiuso a Porta Romana',
      'Ordine 2023/118 in ritardo da Milano Centrale',
      'Ferrari Roma Spider prenotata per Monza',
      'Leonardo Da Vinci aeroporto, volo AZ 1234',
      'Gentile Cliente, la Fattura Elettronica 881 è pronta',
      'Codice 8001505005707 esaurito',
      'Lotto 12/2022 conforme, Santa Lucia acqua',
    ],
  },
  {
    locale: 'nl',
    person: [
      'Teruggebeld door {name} over de factuur',
      'Geachte mevrouw {family}, uw pakket komt morgen.',
      'Met vriendelijke groet, {given} {family}',
      'De heer {family} wil annuleren',
    ],
    address: ['Bezorgen op {street} graag', 'Verhuisd naar {street}'],
    phone: ['bel {phone} na zes uur', 'Tel {phone}'],
    plain: [
      'Albert Heijn filiaal 1123 in Den Haag Zuid',
      'Bestelling 2023-445 vertraagd bij Philips Hue',
      'Geachte klant, de Nieuwe Voorwaarden gelden per maandag',
      'Max Havelaar koffie 500 g',
      'Factuur 20230091 betaald op 03-02-2023',
      'Douwe Egberts doos 12 beschadigd',
    ],
  },
  {
    locale: 'pt_PT',
    person: [
      'Ligar a {name} por causa da fatura',
      'Caro Senhor {family}, a encomenda seguiu.',
      'Com os melhores cumprimentos, {given} {family}',
      'O meu nome é {given} {family}',
    ],
    address: ['Entregar em {street} até às 18', 'Mora na {street}'],
    phone: ['telemóvel {phone}', 'ligar para {phone}'],
    plain: [
      'Encomenda 2023-77 parada em Vila Nova',
      'Caro cliente, o Novo Contrato entra em vigor',
      'Banco Espírito Santo agência 44',
      'Fatura 9912 paga em 05/06/2022',
      'Pastel Belém caixa 6 unidades, São João festa',
    ],
  },
  {
    locale: 'da',
    person: [
      'Ring tilbage til {name} om fakturaen',
      'Kære {given}, din pakke er sendt.',
      'Med venlig hilsen {given} {family}',
      'Hr. {family} ønsker refusion',
    ],
    address: ['Leveres til {street} i dag', 'Flyttet til {street}'],
    phone: ['tlf. {phone}', 'ring på {phone} efter fem'],
    plain: [
      'Ordre 2023-991 forsinket fra Aarhus Nord',
      'Dansk Supermarked Afdeling 12',
      'Kære kunde, den Nye Aftale er klar',
      'Lego City sæt 60245 udsolgt',
      'Faktura 33881 betalt 12.12.2022',
    ],
  },
];

const filled = (faker: Faker, template: string): string =>
  template
    .replace('{name}', () => `${faker.person.firstName()} ${faker.person.lastName()}`)
    .replace('{given}', () => faker.person.firstName())
    .replace('{family}', () => faker.person.lastName())
    .replace('{street}', () => faker.location.streetAddress())
    .replace('{phone}', () => faker.phone.number({ style: 'human' }));

/** Columns of free text: a tenth of the texts hold a person, an address or a phone number; and one column holds none. */
export function textColumns(half: 'development' | 'held-out', seed: number): KnownColumn[] {
  return (half === 'development' ? DEVELOPMENT : HELD_OUT).flatMap((language) => {
    const faker = allFakers[language.locale];
    faker.seed(seed);
    const plain = (): string =>
      `${faker.helpers.arrayElement(language.plain)} ${faker.helpers.arrayElement(language.plain)} #${faker.string.numeric(4)}`;
    const of = (
      kind: PersonalKind | undefined,
      what: string,
      templates: readonly string[],
      every: number,
    ): KnownColumn => ({
      kind,
      what,
      name: 'notes',
      locale: language.locale,
      value: (row) =>
        templates.length > 0 && row % every === 0
          ? `${plain()} ${filled(faker, faker.helpers.arrayElement(templates))} ${plain()}`
          : plain(),
    });
    return [
      of('person_name', 'names in 10 % of texts', language.person, 10),
      of('person_name', 'names in 2 % of texts', language.person, 50),
      of('address', 'streets in 10 % of texts', language.address, 10),
      of('phone', 'national phones in 10 % of texts', language.phone, 10),
      of(undefined, 'texts without people', [], 1),
    ];
  });
}
