import { PerennialError } from '../../contracts/errors.ts';
import { shuffledOrder } from '../../domain/random.ts';
import { Adam } from './adam.ts';
import { type LinearParameters, linearParameters } from './linear-parameters.ts';
import { checkpointContent, readCheckpoint, type TrainingState } from './mlp-checkpoint.ts';
import { checkExport, exportMlp, libraryVersions } from './mlp-export.ts';
import { layerUnits, type MlpParameters, mlpParameters } from './mlp-parameters.ts';
import { Network } from './network.ts';
import { type Objective, objectiveOf } from './objective.ts';
import { fitScaling, type Scaling, scaledRows } from './scaling.ts';
import { runTrainerProgram, Stopped, type TrainerSession } from './session.ts';
import { Sgd } from './sgd.ts';
import { loadTensorflow } from './tensorflow.ts';
import { type Fold, loadFold } from './training-data.ts';

const PREDICTED_ROWS = 4096;

/** Those of a linear model name an optimizer, and no hidden layers. */
type NetworkParameters = Omit<MlpParameters, 'hidden'> & {
  hidden?: string;
  optimizer?: LinearParameters['optimizer'];
};

/** A training in progress: what it learns from, what it has learnt, and where it stands. */
interface Training {
  session: TrainerSession;
  parameters: NetworkParameters;
  train: Fold;
  validation: Fold | undefined;
  scaling: Scaling;
  objective: Objective;
  network: Network;
  optimizer: Adam | Sgd;
  state: TrainingState;
}

/** Trains a multilayer perceptron, or a linear model, which is one without hidden layers; iterations are epochs. */
async function trainNetwork(session: TrainerSession): Promise<void> {
  const { request } = session;
  const parameters: NetworkParameters =
    request.trainer === 'tfjs_linear'
      ? linearParameters(request.parameters)
      : mlpParameters(request.parameters);
  const tf = await loadTensorflow();
  const train = await loadFold(request, 'train');
  const validation = await loadFold(request, 'validation');
  if (!train) return;

  const objective = objectiveOf(request.task, request.classNames.length, train);
  const sizes = [train.columns, ...layerUnits(parameters.hidden), objective.outputs];
  const resumed =
    request.resumeFrom === undefined ? undefined : await readCheckpoint(request.resumeFrom, sizes);
  const network = new Network(tf, sizes, request.seed, resumed?.weights);
  const optimizer = new (parameters.optimizer === 'sgd' ? Sgd : Adam)(
    parameters.learning_rate,
    network.weights.map((array) => array.length),
    resumed?.optimizer,
  );
  const state: TrainingState = resumed ?? {
    epoch: 0,
    batch: 0,
    loss: { sum: 0, weight: 0 },
    weights: network.weights,
    optimizer: optimizer.state,
  };
  if (resumed) session.log('info', `Goes on after ${state.epoch} epochs and ${state.batch} batches.`);
  const scaling = fitScaling(train.features, train.columns);
  const training: Training = {
    session,
    parameters,
    train,
    validation,
    scaling,
    objective,
    network,
    optimizer,
    state,
  };
  while (state.epoch < request.maxIterations && !exhausted(training)) await runEpoch(training);

  const best = state.best ? new Network(tf, sizes, request.seed, state.best.weights) : network;
  if (!best.weights.every((array) => array.every(Number.isFinite)))
    throw new PerennialError('TrainerContract', 'The training diverged. Lower learning_rate.');
  const model = exportMlp(best, scaling, objective);
  await checkExport(model, best, scaling, objective, train);
  await session.finish(model, {
    schemaVersion: 1,
    iterations: state.epoch,
    bestIteration: state.best?.epoch ?? state.epoch,
    parameters: { ...parameters },
    libraries: libraryVersions(),
  });
}

async function runEpoch(training: Training): Promise<void> {
  const { session, parameters, train, scaling, objective, network, optimizer, state } = training;
  const order = shuffledOrder(train.rows, session.request.seed, state.epoch);
  const size = parameters.batch_size;
  while (state.batch * size < train.rows) {
    const rows = order.subarray(state.batch * size, (state.batch + 1) * size);
    const gradients = network.gradients(scaledRows(train, rows, scaling), rows.length, (outputs) => {
      const slopes = new Float32Array(outputs.length);
      objective.score(train, rows, outputs, state.loss, slopes);
      return slopes;
    });
    decay(network, gradients, parameters.l2);
    optimizer.update(network.weights, gradients);
    state.batch++;
    await session.breathe();
    if (session.stopping || session.checkpointDue) await save(training);
    if (session.stopping) throw new Stopped();
  }
  const trainMetric = objective.metricOf(state.loss);
  state.epoch++;
  state.batch = 0;
  state.loss = { sum: 0, weight: 0 };
  await judge(training, trainMetric);
}

/** The gradient of the penalty. Arrays alternate: weights, biases, weights, … */
function decay(network: Network, gradients: Float32Array[], l2: number): void {
  if (l2 === 0) return;
  for (let index = 0; index < gradients.length; index += 2) {
    const gradient = gradients[index];
    network.weights[index]?.forEach((weight, at) => {
      if (gradient) gradient[at] = (gradient[at] ?? 0) + l2 * weight;
    });
  }
}

async function judge(training: Training, trainMetric: number): Promise<void> {
  const { session, validation, objective, network, state } = training;
  const metrics: Record<string, number> = { [`train_${objective.metric}`]: trainMetric };
  if (validation) {
    const metric = await evaluate(training, validation);
    metrics[`validation_${objective.metric}`] = metric;
    if (metric < (state.best?.metric ?? Number.POSITIVE_INFINITY)) {
      state.best = { epoch: state.epoch, metric, weights: network.weights.map((array) => array.slice()) };
    }
  }
  const finite = Object.fromEntries(Object.entries(metrics).filter(([, metric]) => Number.isFinite(metric)));
  session.emit({
    event: 'progress',
    iteration: state.epoch,
    maxIterations: session.request.maxIterations,
    metrics: finite,
  });
}

async function evaluate({ session, scaling, objective, network }: Training, fold: Fold): Promise<number> {
  const total = { sum: 0, weight: 0 };
  for (let start = 0; start < fold.rows; start += PREDICTED_ROWS) {
    const rows = Uint32Array.from(
      { length: Math.min(PREDICTED_ROWS, fold.rows - start) },
      (_, at) => start + at,
    );
    objective.score(fold, rows, network.predict(scaledRows(fold, rows, scaling), rows.length), total);
    await session.breathe();
  }
  return objective.metricOf(total);
}

function exhausted({ session, parameters, validation, state }: Training): boolean {
  if (state.epoch > 0 && session.outOfTime) {
    session.log('info', `The time is used up after ${state.epoch} epochs.`);
    return true;
  }
  const rounds = parameters.early_stopping_rounds;
  if (rounds === 0 || !validation || state.epoch - (state.best?.epoch ?? 0) < rounds) return false;
  session.log('info', `Validation has not improved since epoch ${state.best?.epoch ?? 0}: stopped early.`);
  return true;
}

async function save({ session, network, state }: Training): Promise<void> {
  await session.saveCheckpoint(state.epoch, checkpointContent(network.sizes, state));
}

await runTrainerProgram(trainNetwork);
