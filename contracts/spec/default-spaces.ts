import type { TrainerName } from './candidates.ts';
import type { Dimension, SearchSpace } from './search.ts';
import type { Task } from './task.ts';

const logFloat = (low: number, high: number): Dimension => ({ float: [low, high], log: true });
const logInt = (low: number, high: number): Dimension => ({ int: [low, high], log: true });
const float = (low: number, high: number): Dimension => ({ float: [low, high] });

/**
 * The ranges are those that FLAML and Optuna's LightGBM tuner search, narrowed to where the best trials of tabular data
 * of 1,000 to a million rows are. The defaults of each trainer lie inside, but for a penalty of 0, which no logarithm
 * has: the lowest values do nothing that can be measured.
 */
const boosting = {
  learning_rate: logFloat(0.01, 0.3),
} satisfies SearchSpace;

const lightgbm: SearchSpace = {
  ...boosting,
  num_leaves: logInt(4, 512),
  min_child_samples: logInt(2, 200),
  feature_fraction: float(0.4, 1),
  bagging_fraction: float(0.5, 1),
  lambda_l1: logFloat(1e-8, 10),
  lambda_l2: logFloat(1e-8, 10),
  path_smooth: logFloat(1e-3, 10),
};

const xgboost: SearchSpace = {
  ...boosting,
  max_depth: { int: [3, 10] },
  min_child_weight: logFloat(1e-2, 100),
  subsample: float(0.5, 1),
  colsample_bytree: float(0.4, 1),
  reg_alpha: logFloat(1e-8, 10),
  reg_lambda: logFloat(1e-8, 10),
  gamma: logFloat(1e-8, 5),
};

const gradientBoosting: SearchSpace = {
  ...boosting,
  max_depth: { int: [2, 8] },
  min_samples_leaf: logInt(1, 100),
  subsample: float(0.5, 1),
  max_features: float(0.2, 1),
};

const randomForest = (task: Task): SearchSpace => ({
  max_features: { choice: ['sqrt', 'log2', 0.3, 0.5, 0.7, 1] },
  min_samples_leaf: logInt(1, 50),
  max_samples: float(0.5, 1),
  ...(task === 'regression' ? {} : { criterion: { choice: ['gini', 'entropy'] } }),
});

const knn: SearchSpace = {
  n_neighbors: logInt(1, 100),
  weights: { choice: ['uniform', 'distance'] },
};

const penalty: SearchSpace = {
  penalty: { choice: ['l2', 'l1', 'elasticnet'] },
  l1_ratio: { float: [0.05, 0.95], when: { penalty: 'elasticnet' } },
};

const mlp: SearchSpace = {
  hidden: { choice: ['32', '64', '128', '64,32', '128,64', '128,64,32'] },
  learning_rate: logFloat(1e-4, 1e-2),
  batch_size: { choice: [64, 128, 256, 512] },
  l2: logFloat(1e-7, 1e-2),
};

const tfjsLinear: SearchSpace = {
  learning_rate: logFloat(1e-3, 0.3),
  l2: logFloat(1e-7, 1e-1),
  batch_size: { choice: [64, 128, 256, 512] },
};

/**
 * What is searched of a trainer where the spec names no space: its parameters that matter most.
 *
 * Every value in it is one that the trainer takes. Parameters that are not in it keep the trainer's default.
 *
 * @example
 * defaultSpace('logistic', 'binary'); // { penalty: { choice: […] }, l1_ratio: { float: […], when: … }, C: { float: […], log: true } }
 */
export function defaultSpace(trainer: TrainerName, task: Task): SearchSpace {
  switch (trainer) {
    case 'lightgbm':
      return lightgbm;
    case 'xgboost':
      return xgboost;
    case 'gradient_boosting':
      return gradientBoosting;
    case 'random_forest':
      return randomForest(task);
    case 'knn':
      return knn;
    case 'logistic':
      return { ...penalty, C: logFloat(1e-4, 1e3) };
    case 'linear':
      return { ...penalty, alpha: logFloat(1e-6, 10) };
    case 'mlp':
      return mlp;
    case 'tfjs_linear':
      return tfjsLinear;
  }
}
