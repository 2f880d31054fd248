"""Sweeps: planned, executed, resumed, searched and reproduced; the Python API."""
