/** Rows of the template's data: enough to train on, made by a fixed rule with some noise. */
const ROWS = 2_000;

/** A linear congruential generator (Numerical Recipes), so that everybody gets the same file. */
function* uniform(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (1_664_525 * state + 1_013_904_223) % 4_294_967_296;
    yield state / 4_294_967_296;
  }
}

function customers(): string {
  const random = uniform(42);
  const draw = (): number => random.next().value;
  const lines = ['customer,joined,plan,monthly_fee,support_calls,usage_hours,churned'];
  for (let i = 1; i <= ROWS; i++) {
    const plan = draw() < 0.5 ? 'basic' : draw() < 0.6 ? 'plus' : 'pro';
    const fee = { basic: 10, plus: 25, pro: 60 }[plan];
    const calls = Math.floor(draw() * draw() * 9);
    const hours = Math.round(draw() * 800) / 10;
    const risk = 1 / (1 + Math.exp(-(0.6 * calls - 0.04 * hours + (plan === 'basic' ? 0.8 : 0) - 1)));
    const joined = new Date(Date.UTC(2025, 0, 1 + Math.floor(draw() * 500))).toISOString().slice(0, 10);
    lines.push(
      [i, joined, plan, fee, calls, draw() < 0.05 ? '' : hours, draw() < risk ? 'yes' : 'no'].join(','),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The files that `perennial init` writes, by path. */
export const TEMPLATE: Record<string, () => string> = {
  'pipeline.yaml':
    () => `# Will the customer leave? A small pipeline to start from; \`perennial schema\` prints all that can stand here.
name: customer-churn
task: binary
data:
  sources: { customers: data/customers.csv }
columns: { target: churned, positive: "true", entity: customer }
expectations:
  - { expect: unique, columns: [customer] }
  - { expect: range, column: usage_hours, min: 0, max: 744 }
candidates: [lightgbm, logistic]
# Whoever starts alone approves their own models; leave this out where two people can look.
approval: { authorMayVote: true }
`,
  'data/customers.csv': customers,
};
