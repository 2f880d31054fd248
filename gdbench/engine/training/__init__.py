"""Runs of training workloads: the batches of their steps, and the ways to carry a module."""
