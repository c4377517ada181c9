import {
  entityColumns,
  type HeaderRoute,
  type Route,
  type RouteReason,
  type RouteTable,
} from '../contracts/serving.ts';

/** What of a request decides where it goes. */
export interface RoutingFacts {
  /** A request header by its name in small letters. */
  header(name: string): string | undefined;
  /** Asked only where several routes take traffic, since it may cost a look into the rows. */
  place(): RoutingPlace;
}

/** Where a request stands among all of an endpoint's. */
export interface RoutingPlace {
  /** From 0 up to, not including, 1; the same for the same entity where the table is sticky. */
  readonly point: number;
  /** Whether `point` comes from the entity. */
  readonly sticky: boolean;
}

/** A route that answers, and why. */
export interface RouteChoice {
  readonly route: Route;
  readonly reason: RouteReason;
}

/** Shadows answer nobody. */
const answers = ({ role }: Route): boolean => role !== 'shadow';

/** The route that answers whatever the others do. */
export const championOf = ({ routes }: RouteTable): Route | undefined =>
  routes.find(({ role }) => role === 'champion');

/**
 * The columns that requests to an endpoint may have so that features are looked up by them, each once: by its versions,
 * whichever of them answers, and by earlier ones. No client can change what it sends in the very moment in which another
 * version comes or goes.
 */
export const keyColumnsOf = ({
  routes,
  keyColumns = [],
}: Pick<RouteTable, 'routes' | 'keyColumns'>): string[] => [
  ...new Set([...routes.flatMap(({ model }) => entityColumns(model)), ...keyColumns]),
];

/**
 * The route of one request: a header that the table names decides before the weights. Challengers lie at the
 * beginning of the range from 0 to 100, in the order of the table, the champion has the rest: while a challenger's
 * share grows, no entity that has it goes back to the champion.
 *
 * @returns `undefined` where nothing takes traffic
 * @example chooseRoute(table, { header: () => undefined, place: () => ({ point: 0.03, sticky: false }) })?.route.model.version
 */
export function chooseRoute(table: RouteTable, facts: RoutingFacts): RouteChoice | undefined {
  const route = byHeader(table, facts);
  if (route) return { route, reason: 'header' };
  const open = table.routes.filter((candidate) => answers(candidate) && candidate.weight > 0);
  const [first] = open;
  if (!first) return undefined;
  if (open.length === 1) return { route: first, reason: 'sole' };
  const { point, sticky } = facts.place();
  const reason = sticky ? 'entity' : 'weight';
  let left = point * 100;
  const champion = open.find(({ role }) => role === 'champion');
  for (const candidate of open) {
    if (candidate === champion) continue;
    left -= candidate.weight;
    if (left < 0) return { route: candidate, reason };
  }
  // Weights that add up to a hair less than 100 leave a gap at the very end.
  return { route: champion ?? open.at(-1) ?? first, reason };
}

function byHeader(table: RouteTable, facts: RoutingFacts): Route | undefined {
  const matches = ({ header, value }: HeaderRoute): boolean => facts.header(header) === value;
  const found = table.headerRoutes.find(matches);
  return found && table.routes.find((route) => answers(route) && route.model.version === found.version);
}

/**
 * What is wrong with a table that no schema can say: a champion beside other routes, weights that add up to 100, each
 * version once, header routes to versions that answer.
 *
 * @returns the first problem in words, with its remedy
 */
export function tableProblem({ routes, headerRoutes }: RouteTable): string | undefined {
  if (routes.length === 0) return undefined;
  const versions = routes.map(({ model }) => model.version);
  if (new Set(versions).size !== versions.length) return 'a version is there twice; give it one weight';
  const champions = routes.filter(({ role }) => role === 'champion').length;
  if (champions !== 1)
    return `${champions} routes have the role champion; one has to, the others are challengers or shadows`;
  const total = routes.filter(answers).reduce((sum, { weight }) => sum + weight, 0);
  if (Math.abs(total - 100) > 1e-6)
    return `the weights of champion and challengers add up to ${total}; they must give 100`;
  const astray = headerRoutes.find(
    ({ version }) => !routes.some((route) => answers(route) && route.model.version === version),
  );
  if (astray)
    return `the header ${astray.header} leads to version ${astray.version}, which answers nobody; name one of ${versions.join(', ')}`;
  return undefined;
}
