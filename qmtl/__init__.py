"""QMTL: strategies as DAGs of pure functions over time series."""

__version__ = "0.1.0"
