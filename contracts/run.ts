/** Where a run is recorded in MLflow. */
export interface Tracking {
  experimentId: string;
  runId: string;
  /** Page of the run in the MLflow UI. */
  url: string;
}

/** The run that an activity works for. */
export interface RunIdentity {
  workflowId: string;
  runId: string;
}
