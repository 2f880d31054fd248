"""Pure functions from DataFrame to DataFrame: costs, profiles, ranks, tests, comparisons. No I/O, no formatting."""
