"""Helpers of the tests that are no tests: processes, and what happens in them."""
