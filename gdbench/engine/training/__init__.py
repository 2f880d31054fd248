"""Runs of a training workload: batches, gradients of a module, and its judgement on train and held-out data."""
