"""Statistics of two Parquet tables by SciPy and NumPy, as JSON: what compareTables must give."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp


def psi(reference, current):
    p = np.where(reference == 0, 0.5, reference) / reference.sum()
    q = np.where(current == 0, 0.5, current) / current.sum()
    return float(((q - p) * np.log(q / p)).sum())


def numbers(reference, current):
    # np.quantile(method="inverted_cdf") with ranks in whole numbers: 0.30000000000000004 n would be one value further.
    edges = np.unique(np.sort(reference)[(np.arange(1, 10) * len(reference) + 9) // 10 - 1])
    counts = lambda v: np.diff(np.concatenate([[0], np.searchsorted(np.sort(v), edges, "right"), [len(v)]])).astype(float)
    p, q = counts(reference), counts(current)
    test = ks_2samp(reference, current, method="asymp")
    return {
        "psi": psi(p, q),
        "jensenShannon": float(jensenshannon(p, q, base=2)),
        "ks": [float(test.statistic), float(test.pvalue)],
    }


def categories(reference, current):
    names = sorted(set(reference) | set(current))
    p = np.array([reference.count(n) for n in names], float)
    q = np.array([current.count(n) for n in names], float)
    expected = (p + q) * min(len(reference), len(current)) / (len(reference) + len(current))
    small = expected < 5
    a, b = p[~small], q[~small]
    if small.any():
        pool = [p[small].sum(), q[small].sum()]
        if sum(pool) * min(len(reference), len(current)) / (len(reference) + len(current)) < 5:
            last = np.argmin(a + b)
            a[last] += pool[0]
            b[last] += pool[1]
        else:
            a, b = np.append(a, pool[0]), np.append(b, pool[1])
    statistic, p_value, dof, _ = chi2_contingency(np.array([a, b]), correction=False)
    new = [n for n in names if n not in reference]
    return {
        "psi": psi(p, q),
        "jensenShannon": float(jensenshannon(p, q, base=2)),
        "chiSquare": [float(statistic), int(dof), float(p_value)],
        "newCategories": [len(new), sum(current.count(n) for n in new) / len(current)],
    }


reference, current = (pq.read_table(path) for path in sys.argv[1:3])
answer = {}
for name in reference.column_names:
    sides = [[v for v in table[name].to_pylist() if v is not None and v == v] for table in (reference, current)]
    if isinstance(sides[0][0], (bool, str)):
        answer[name] = categories(*[[str(v) for v in side] for side in sides])
    else:
        values = [[v.timestamp() if hasattr(v, "timestamp") else v for v in side] for side in sides]
        answer[name] = numbers(*[np.array(side, float) for side in values])
json.dump(answer, sys.stdout)
