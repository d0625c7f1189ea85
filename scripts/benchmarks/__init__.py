"""What `scripts/benchmark.py` measures, and how: suites of cells, run in fresh processes, kept in JSON files."""
