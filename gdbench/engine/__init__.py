"""One cell in, columns out: the oracle, the loop, batching, the observer, targets, timing."""
