"""Targets of the training workloads, derived by a stated protocol."""
