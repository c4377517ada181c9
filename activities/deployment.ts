import { log } from '@temporalio/activity';
import {
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure, type Workflow } from '@temporalio/common';
import type { DeploymentActivities } from '../contracts/activities.ts';
import type { AdmitAnswer, EndpointAnswer, EndpointInput } from '../contracts/endpoint.ts';
import { endpointWorkflowId, SIGNALS, UPDATES, WORKFLOW_TYPES } from '../contracts/names.ts';
import { type ModelServerInfo, modelServerInfo } from '../contracts/serving.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { runningOn } from './running-workflows.ts';

/** Activities that reach other workflows of the namespace. */
export function deploymentActivities(
  deps: Pick<ActivityDependencies, 'config' | 'client'>,
): DeploymentActivities {
  return {
    listModelServers: framed(deps.config, async () => {
      const servers: ModelServerInfo[] = [];
      const query = runningOn(deps.config.taskQueue, WORKFLOW_TYPES.modelServer);
      for await (const workflow of deps.client().workflow.list({ query })) {
        const info = modelServerInfo.safeParse(workflow.memo?.server);
        if (info.success) servers.push(info.data);
      }
      return { servers };
    }),

    announceServer: framed(deps.config, async (server) => {
      const { workflow: workflows } = deps.client();
      const query = runningOn(deps.config.taskQueue, WORKFLOW_TYPES.endpoint);
      for await (const { workflowId } of workflows.list({ query }))
        await workflows.getHandle(workflowId).signal(SIGNALS.serverJoined, server);
    }),

    askEndpoint: framed(deps.config, async ({ endpoint, ask }) => {
      const { workflow: workflows } = deps.client();
      const input: EndpointInput = { endpoint };
      const startWorkflowOperation = new WithStartWorkflowOperation(WORKFLOW_TYPES.endpoint, {
        workflowId: endpointWorkflowId(endpoint),
        taskQueue: deps.config.taskQueue,
        workflowIdConflictPolicy: 'USE_EXISTING',
        args: [input],
        staticSummary: `Endpoint ${endpoint}: the only writer of its routes and its champion`,
      });
      try {
        return await workflows.executeUpdateWithStart<
          Workflow,
          AdmitAnswer | EndpointAnswer,
          [typeof ask.request]
        >(UPDATES[ask.update], {
          startWorkflowOperation,
          args: [ask.request],
          updateId: ask.request.requestId,
        });
      } catch (error) {
        // The endpoint's own refusal is the answer; anything else (no worker, no connection) is tried again.
        if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
          throw error.cause;
        log.warn('the endpoint did not answer', { error });
        throw error;
      }
    }),

    isRunning: framed(deps.config, async ({ workflowId }) => {
      try {
        const { status } = await deps.client().workflow.getHandle(workflowId).describe();
        return { running: status.name === 'RUNNING' };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return { running: false };
        throw error;
      }
    }),
  };
}
