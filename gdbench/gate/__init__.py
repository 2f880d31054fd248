"""The regression gate: did a change make any optimizer converge worse, do more work a step, or run slower?"""
