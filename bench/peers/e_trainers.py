# The libraries of our trainers, bare: e_trainers.py TRAINER FOLDER. Only the fit is timed; parameters are our defaults.
import os, sys, warnings; warnings.filterwarnings("ignore")
import numpy as np
from _fig import fig, mmm, clock
kind, folder, T, ROUNDS = sys.argv[1], sys.argv[2], int(os.environ.get("THREADS", "2")), 100
X, y, r = (np.load(os.path.join(folder, name + ".npy")) for name in ("features", "labels", "numbers"))
def lightgbm():
    import lightgbm as l
    p = dict(objective="binary", num_threads=T, verbosity=-1, deterministic=True, force_col_wise=True, lambda_l2=1, feature_fraction=.9, bagging_fraction=.9, bagging_freq=1)
    return lambda: l.train(p, l.Dataset(X, y), ROUNDS)
def xgboost():
    import xgboost as x
    p = dict(objective="binary:logistic", nthread=T, tree_method="hist", learning_rate=.1, subsample=.9, colsample_bytree=.9)
    return lambda: x.train(p, x.QuantileDMatrix(X, y, nthread=T), ROUNDS)
def random_forest():
    from sklearn.ensemble import RandomForestClassifier as M
    return lambda: M(ROUNDS, min_samples_leaf=5, n_jobs=T, random_state=7).fit(X, y)
def gradient_boosting():
    from sklearn.ensemble import GradientBoostingClassifier as M
    return lambda: M(n_estimators=ROUNDS, random_state=7).fit(X, y)
def knn():  # fitting does nothing: what counts is the search, here for as many rows as our trainer asks for
    from sklearn.neighbors import KNeighborsClassifier as M
    S = (X - X.mean(0)) / X.std(0)
    return lambda: M(15, algorithm="brute", n_jobs=T).fit(S[::5], y[::5]).predict_proba(S[::100])
def scaled():
    from sklearn.preprocessing import StandardScaler
    return StandardScaler()
def logistic():
    from sklearn.linear_model import LogisticRegression as M
    s = scaled(); return lambda: M(max_iter=ROUNDS).fit(s.fit_transform(X), y)
def linear():
    from sklearn.linear_model import Ridge as M
    s = scaled(); return lambda: M(10).fit(s.fit_transform(X), r)
fit, ts = globals()[kind](), []
with clock(ts): fit()
fig(f"E.{kind}", s_mmm=mmm(ts, nd=3))
