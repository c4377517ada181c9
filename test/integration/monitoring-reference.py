"""Statistics of the windows of a Parquet table against a reference by SciPy and NumPy, as JSON."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp, wasserstein_distance


def psi(reference, current):
    p = np.where(reference == 0, 0.5, reference) / reference.sum()
    q = np.where(current == 0, 0.5, current) / current.sum()
    return float(((q - p) * np.log(q / p))[(reference > 0) | (current > 0)].sum())


def numbers(reference, current):
    ordered = np.sort(reference)
    edges = np.unique(ordered[(np.arange(1, 10) * len(reference) + 9) // 10 - 1])
    # A value that alone holds a tenth of the rows is a bin of its own.
    values, counts = np.unique(reference, return_counts=True)
    cuts = [(e, "right") for e in edges]
    for value in values[counts * 10 >= len(reference)]:
        cuts += [(value, "left"), (value, "right")]
    cuts = sorted(set(cuts))

    def bins(v):
        ranks = [np.searchsorted(np.sort(v), end, side) for end, side in cuts]
        return np.diff([0, *ranks, len(v)]).astype(float)

    p, q = bins(reference), bins(current)
    test = ks_2samp(reference, current, method="asymp")
    return {
        "psi": psi(p, q),
        "jensenShannon": float(jensenshannon(p, q, base=2)),
        "statistic": float(test.statistic),
        "p": float(test.pvalue),
        "wasserstein": float(wasserstein_distance(reference, current) / np.std(reference)),
    }


def categories(reference, current):
    names = sorted(set(reference) | set(current))
    p = np.array([reference.count(n) for n in names], float)
    q = np.array([current.count(n) for n in names], float)
    # Cells of which fewer than 5 rows are expected are pooled (Cochran 1954).
    smaller = min(len(reference), len(current)) / (len(reference) + len(current))
    small = (p + q) * smaller < 5
    a, b = p[~small], q[~small]
    if small.any():
        pool = p[small].sum(), q[small].sum()
        if sum(pool) * smaller < 5:
            last = np.argmin(a + b)
            a[last], b[last] = a[last] + pool[0], b[last] + pool[1]
        else:
            a, b = np.append(a, pool[0]), np.append(b, pool[1])
    statistic, p_value, _, _ = chi2_contingency(np.array([a, b]), correction=False)
    return {
        "psi": psi(p, q),
        "jensenShannon": float(jensenshannon(p, q, base=2)),
        "statistic": float(statistic),
        "p": float(p_value),
        "fresh": sum(current.count(n) for n in names if n not in reference) / len(current),
    }


reference, current = (pq.read_table(path) for path in sys.argv[1:3])
answer = {}
for name in reference.column_names:
    sides = [[v for v in table[name].to_pylist() if v is not None and v == v] for table in (reference, current)]
    if isinstance(sides[0][0], (bool, str)):
        answer[name] = categories(*[[str(v) for v in side] for side in sides])
    else:
        # Models take numbers as float32, moments as they are.
        isMoment = hasattr(sides[0][0], "timestamp")
        values = [[v.timestamp() if isMoment else v for v in side] for side in sides]
        answer[name] = numbers(*[np.array(side, float if isMoment else np.float32).astype(float) for side in values])
    answer[name]["missing"] = [1 - len(side) / table.num_rows for side, table in zip(sides, (reference, current))]
for name, p in zip(answer, false_discovery_control([one["p"] for one in answer.values()])):
    answer[name]["adjusted"] = float(p)
json.dump(answer, sys.stdout)
