"""The public losses: signature, docstring, and the way to the result; no mathematics."""
