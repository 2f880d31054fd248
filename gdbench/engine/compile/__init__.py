"""Methods under torch.compile: the compiled program, its states, and the cache of what was built."""
