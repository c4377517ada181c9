import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../client/output.ts';
import { PerennialError } from '../../contracts/errors.ts';

const ofRun = (cause: Error): Error =>
  new WorkflowFailedError('Workflow execution failed', cause, 'NON_RETRYABLE_FAILURE');
const ofActivity = (cause: Error): Error =>
  new ActivityFailure('Activity task failed', 'prepareData', '1', 'NON_RETRYABLE_FAILURE', 'w', cause);
const application = (type: string, cause?: Error): ApplicationFailure =>
  ApplicationFailure.create({ type, message: 'm', ...(cause ? { cause } : {}) });

describe('the code of an error', () => {
  it.each([
    ['an error of the CLI', new PerennialError('SpecInvalid', 'm'), 'SpecInvalid'],
    ['a failure of the workflow', ofRun(application('InputInvalid')), 'InputInvalid'],
    ['a failure of an activity', ofRun(ofActivity(application('SqlInvalid'))), 'SqlInvalid'],
    [
      'the innermost of several',
      ofRun(application('StageFailed', application('SourceDenied'))),
      'SourceDenied',
    ],
    [
      'not a type that we do not know',
      ofRun(application('StageFailed', application('TypeError'))),
      'StageFailed',
    ],
    ['a cancelled run', ofRun(new CancelledFailure('cancelled')), 'Failed'],
    ['another error', new Error('m'), 'Failed'],
    ['a property of every object', ofRun(application('toString')), 'Failed'],
  ])('%s', (_name, error, code) => {
    expect(codeOf(error)).toBe(code);
  });
});
