import { inferQuestion, profileQuestion } from '../contracts/data-questions.ts';
import { expectationsYaml } from '../lib/profile/expectations-yaml.ts';
import { inferExpectations } from '../lib/profile/infer.ts';
import { profileSource } from '../lib/profile/source-profile.ts';
import { profilePage } from '../lib/report/profile-page.ts';
import { answering } from './answer.ts';

/** Profiles a source, for `perennial profile`. */
export const runProfile = answering(async (question, { config, tempDir }) => {
  const { name, source, html } = profileQuestion.parse(question);
  const profile = await profileSource(name, source, { config, tempDir });
  return { profile, html: html ? profilePage(name, profile) : null };
});

/** Proposes expectations, for `perennial expectations infer`. */
export const runInfer = answering(async (question, { config, tempDir }) => {
  const { name, source, on } = inferQuestion.parse(question);
  const profile = await profileSource(name, source, { config, tempDir });
  const rules = inferExpectations(profile, on);
  return { yaml: expectationsYaml(rules, name), rules: rules.length };
});
