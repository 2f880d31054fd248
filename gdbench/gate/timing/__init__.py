"""The time layer: is head slower than base? Short blocks in turn, replicates in fresh processes, a sequential rule."""
