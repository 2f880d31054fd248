"""Charts, one per module: a table of ``gdbench.analysis`` in, a chart out."""
