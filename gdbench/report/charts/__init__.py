"""One chart a module: a table as ``gdbench.analysis`` makes it in, an Altair chart out."""
