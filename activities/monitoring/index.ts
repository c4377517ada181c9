import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { alertActivities } from '../alerts.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { framed } from '../frame.ts';
import { askRetraining } from './ask-retraining.ts';
import { logWindows } from './log-windows.ts';
import { observeWindow } from './observe-window.ts';
import { planMonitoring } from './plan-monitoring.ts';
import { recordDelivery } from './record-delivery.ts';
import { recordWindow } from './record-window.ts';
import { settleAlerts } from './settle-alerts.ts';
import { watchEndpoint } from './watch-endpoint.ts';

/** Activities of the workflow `monitor`. */
export function monitoringActivities(deps: ActivityDependencies): MonitoringActivities {
  const { config } = deps;
  return {
    watchEndpoint: framed(config, (input) => watchEndpoint(deps, input)),
    planMonitoring: framed(config, (input, frame) => planMonitoring(deps, input, frame)),
    observeWindow: framed(config, (input, frame) => observeWindow(deps, input, frame)),
    recordWindow: framed(config, (input) => recordWindow(deps, input)),
    logWindows: framed(config, ({ settings }) => logWindows(deps, settings)),
    ...alertActivities(deps),
    recordDelivery: framed(config, (input) => recordDelivery(deps, input)),
    settleAlerts: framed(config, (input) => settleAlerts(deps, input)),
    askRetraining: framed(config, (input) => askRetraining(deps, input)),
  };
}
