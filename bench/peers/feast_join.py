# Point-in-time join by Feast's offline store: feast_join.py FOLDER STORE MEMORY_GB; STORE is duckdb or file (Dask).
# The means stand computed at each event in FOLDER/means.parquet; Feast gives each label the latest ones of 7 days.
# Writes FOLDER/feast.parquet with label, h1, h6, h24, d7. The memory of the process has a limit, DuckDB's a lower one.
import os, resource, sys, tempfile
from datetime import timedelta
from _fig import fig, mmm, clock
folder, store, memory = sys.argv[1], sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (memory << 30, memory << 30))
os.environ["FEAST_USAGE"] = "False"
import pandas as pd, pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.file_source import ParquetFormat
from feast.types import Float64
WINDOWS = ["h1", "h6", "h24", "d7"]
path = lambda name: os.path.join(folder, f"{name}.parquet")
ts = []
with tempfile.TemporaryDirectory() as home, clock(ts):
    if store == "duckdb":
        import ibis
        ibis.set_backend(ibis.duckdb.connect(memory_limit=f"{memory * 3 // 4}GB", temp_directory=os.path.join(home, "spill")))
    feast = FeatureStore(config=RepoConfig(
        project="bench", provider="local", registry=os.path.join(home, "registry.db"), entity_key_serialization_version=3,
        offline_store={"type": store}, online_store={"type": "sqlite", "path": os.path.join(home, "online.db")}))
    account = Entity(name="account", join_keys=["account"], value_type=ValueType.INT64)
    paid = FeatureView(
        name="paid", entities=[account], ttl=timedelta(days=7), online=False,
        schema=[Field(name=name, dtype=Float64) for name in WINDOWS],
        source=FileSource(path=path("means"), timestamp_field="moment", file_format=ParquetFormat()))
    feast.apply([account, paid])
    labels = pd.read_parquet(path("labels")).rename(columns={"moment": "event_timestamp"})
    joined = feast.get_historical_features(entity_df=labels, features=[f"paid:{name}" for name in WINDOWS]).to_arrow()
    pq.write_table(joined.select(["label", *WINDOWS]), path("feast"))
fig(f"feast.{store}", s_mmm=mmm(ts), rows=joined.num_rows)
