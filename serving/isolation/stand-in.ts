import type { RouteTable } from '../../contracts/serving.ts';
import type { CallRows } from '../call-rows.ts';
import type { ModelHost, Routed } from '../model-host.ts';
import type { Incident, Miss, Prediction, PredictionCall } from '../prediction.ts';
import { RequestError } from '../request-error.ts';
import { type Failing, failingOf, invalidOutput, isUnfed } from './failing.ts';
import { invalidRows } from './invalid-rows.ts';

/**
 * Requests of a challenger's share: its answer, or that of the champion where it has none in half of the time that is
 * left, so that the other half is the champion's.
 */
export class StandIn {
  /** @param tell of each failure */
  constructor(
    private readonly host: ModelHost,
    private readonly tell: (incident: Incident, miss: Miss) => void,
  ) {}

  /**
   * @param routed a challenger, and the table that chose it
   * @param deadline in milliseconds of `performance.now()`
   * @throws RequestError 400 where the champion refuses the rows too, 503 where it cannot answer either
   */
  async predict(
    call: PredictionCall,
    rows: CallRows,
    routed: Routed & { table: RouteTable },
    deadline: number,
  ): Promise<Prediction> {
    const { model, table, entity, reason, role } = routed;
    let failing: Failing;
    let asked = 0;
    try {
      asked = rows.read(model).rows;
      const half = deadline - (deadline - performance.now()) / 2;
      const found = rows.whole(model, half);
      const outputs = await model.runWhole(found, half);
      const invalid = invalidRows(outputs);
      if (invalid === 0)
        return {
          call,
          model,
          role,
          reason,
          generation: table.generation,
          entity: rows.entity(entity, model, table.entityColumn),
          ...(found instanceof Promise ? await found : found),
          rows,
          outputs,
        };
      failing = invalidOutput(invalid, outputs.rows);
    } catch (error) {
      failing = failingOf(error, call, table);
    }
    // Of a request whose features are missing the model never heard.
    const seconds = failing.kind === 'features' ? undefined : (performance.now() - call.arrived) / 1000;
    const { endpoint, generation } = table;
    const told = { endpoint, generation, version: model.served.version, role: 'challenger' as const };
    const tell = (): void => {
      const { kind, reason: why } = failing;
      if (kind)
        this.tell({ ...told, kind, count: 1, reason: why }, { ...told, kind, reason, rows: asked, seconds });
    };
    // Refused by both is the client's fault alone, features that neither gets are the online store's.
    const isShared = failing.kind === 'refused-input' || failing.kind === 'features';
    if (!isShared) tell();
    const answer = await this.#champion(call, rows, deadline, told.version, entity).catch(
      (error: unknown) => {
        if (failing.kind === 'features' && !isUnfed(error)) tell();
        throw error;
      },
    );
    if (isShared) tell();
    return answer;
  }

  async #champion(
    call: PredictionCall,
    rows: CallRows,
    deadline: number,
    insteadOf: string,
    entity: string | undefined,
  ): Promise<Prediction> {
    // The one of this moment: that of the table by which the request came may have been freed.
    const state = this.host.state(call.endpoint);
    const model = state?.champion;
    const nobody = `version ${insteadOf} cannot answer now, and its champion cannot stand in; try again later`;
    if (!(state && model)) throw new RequestError(503, nobody, undefined, 'unavailable');
    if (performance.now() >= deadline) throw new RequestError(503, nobody, undefined, 'deadline');
    const { generation } = state.table;
    const found = rows.whole(model, deadline);
    const outputs = await model.runWhole(found, deadline).catch((error: unknown) => {
      throw error instanceof RequestError ? error : new RequestError(503, nobody);
    });
    return {
      call,
      model,
      role: 'champion',
      reason: 'fallback',
      generation,
      insteadOf,
      entity: rows.entity(entity, model, state.table.entityColumn),
      ...(found instanceof Promise ? await found : found),
      rows,
      outputs,
      invalidRows: invalidRows(outputs),
    };
  }
}
