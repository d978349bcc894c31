"""The results of a comparison for a terminal, a browser, a program and the README."""
