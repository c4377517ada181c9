import { dataPage } from '../data-page.ts';
import { html, type Markup, Markup as Safe } from '../html.ts';
import { candidatesSection } from './candidates.ts';
import { checksSection, dataSection, featuresSection, privacySection } from './data.ts';
import { explanationSection } from './explanation.ts';
import type { ReportFacts } from './facts.ts';
import { limitsSection } from './limits.ts';
import { fairnessSection, robustnessSection, slicesSection } from './parts.ts';
import { calibrationSection, gatesSection, metricsSection } from './quality.ts';
import { reproductionSection } from './reproduction.ts';
import { CARD_STYLE } from './style.ts';
import { summary } from './summary.ts';

/** A part of the page: its anchor, its name, and what it says. */
interface Section {
  id: string;
  title: string;
  body: Markup;
}

const sections = (facts: ReportFacts): Section[] => [
  { id: 'verdict', title: 'Verdict', body: gatesSection(facts) },
  { id: 'quality', title: 'Quality', body: metricsSection(facts) },
  ...(facts.spec.task === 'regression'
    ? []
    : [{ id: 'calibration', title: 'Calibration', body: calibrationSection(facts) }]),
  { id: 'slices', title: 'Slices', body: slicesSection(facts) },
  { id: 'fairness', title: 'Fairness', body: fairnessSection(facts) },
  { id: 'explanation', title: 'Explanation', body: explanationSection(facts) },
  { id: 'robustness', title: 'Robustness and size', body: robustnessSection(facts) },
  { id: 'candidates', title: 'Candidates', body: candidatesSection(facts) },
  { id: 'data', title: 'Data', body: dataSection(facts) },
  { id: 'features', title: 'Features', body: featuresSection(facts) },
  { id: 'checks', title: 'Checks of the data', body: checksSection(facts) },
  { id: 'privacy', title: 'Personal data', body: privacySection(facts) },
  { id: 'limits', title: 'Limits', body: limitsSection(facts) },
  { id: 'approval', title: 'Approval', body: approvalSection(facts) },
  { id: 'reproduction', title: 'How to reproduce', body: reproductionSection(facts) },
];

/** Who still has to agree. */
function approvalSection({ spec: { approval } }: ReportFacts): Markup {
  if (!approval.required)
    return html`<p>The pipeline asks nobody before it deploys (approval.required is false).</p>`;
  return html`<p>${approval.quorum === 1 ? 'One person has' : `${approval.quorum} people have`} to approve this version before it is deployed${rolesOf(approval)}, within ${approval.timeout}${approval.signed ? ', by signed votes' : ''}; after that it counts as ${approval.onTimeout === 'reject' ? 'rejected' : 'approved'}. Who did, when and why stands in the audit log, and in the tags of the version.</p>`;
}

/** Roles that must approve beside the quorum, in words. */
const rolesOf = ({ roles }: ReportFacts['spec']['approval']): string =>
  roles.map(({ role, quorum }) => `, and ${quorum} in role ${role}`).join('');

/** Summary, contents and all sections. @param call what the reader is asked to do, above everything else */
export function cardPage(title: string, facts: ReportFacts, heading: Markup, call: Markup = html``): string {
  const { spec } = facts;
  const parts = sections(facts);
  return dataPage(
    title,
    html`<style>${new Safe(CARD_STYLE)}</style><header>${heading}
<p class="purpose">${spec.description || `Predicts ${spec.columns.target} (${spec.task}).`}</p></header>
${call}
${summary(facts)}
<nav class="contents" aria-label="Contents">${parts.map(({ id, title: name }) => html`<a href="#${id}">${name}</a>`)}</nav>
${parts.map(({ id, title: name, body }) => html`<section><h2 id="${id}">${name}</h2>${body}</section>`)}`,
  );
}

/** The model card: what the model is, how good it is, and what it was made from. One page, nothing loaded from anywhere. */
export function modelCard(facts: ReportFacts): string {
  const { modelName, version, spec, evaluate } = facts;
  return cardPage(
    `Model card: ${modelName}`,
    facts,
    html`<p class="soft">Model card</p><h1>${modelName}${version === null ? '' : html` <span class="soft">version ${version}</span>`}</h1><p class="soft">predicts ${spec.columns.target} (${spec.task}); ${evaluate.winner.trainer}</p>`,
  );
}
