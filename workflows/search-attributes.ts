import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';

const keyword = (name: string) => {
  const key = defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
  return (value: string): SearchAttributePair => ({ key, value });
};
const flag = (name: string) => {
  const key = defineSearchAttributeKey(name, SearchAttributeType.BOOL);
  return (value: boolean): SearchAttributePair => ({ key, value });
};

/** The custom search attributes of lifecycle runs; nothing personal goes into them, they are never encrypted. */
export const searchAttributes = {
  pipeline: keyword(SEARCH_ATTRIBUTES.pipeline.name),
  stage: keyword(SEARCH_ATTRIBUTES.stage.name),
  modelVersion: keyword(SEARCH_ATTRIBUTES.modelVersion.name),
  awaitingApproval: flag(SEARCH_ATTRIBUTES.awaitingApproval.name),
};
