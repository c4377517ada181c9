"""FLAML's AutoML with its own choice of learners, the same validation rows, two threads."""

from flaml import AutoML
from search_tables import load, question, score

asked = question()
task = asked["task"]
(train_x, train_y), (valid_x, valid_y), (test_x, test_y) = load(asked)
automl = AutoML()
automl.fit(
    train_x,
    train_y,
    X_val=valid_x,
    y_val=valid_y,
    task="regression" if task == "regression" else "classification",
    metric={"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task],
    time_budget=asked["seconds"],
    n_jobs=2,
    seed=42,
    verbose=0,
    retrain_full=False,
)
if task == "regression":
    answers = automl.predict(test_x)
else:
    answers = automl.predict_proba(test_x)
    answers = answers[:, 1] if task == "binary" else answers
print(f"metric={score(task, test_y, answers):.6f} trials={len(automl.config_history)} learner={automl.best_estimator}")
