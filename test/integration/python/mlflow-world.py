"""Prints all rows of an MLflow database as JSON: tables by name, rows as sorted lists of columns.

Usage: mlflow-world.py mlflow.db
"""

import json
import sqlite3
import sys

connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
connection.row_factory = sqlite3.Row
tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
world = {}
for table in tables:
    rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
    if rows and table != "alembic_version":
        world[table] = sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))
json.dump(world, sys.stdout, default=str)
