"""Fused kernels on plain memory: NumPy arrays, and what other frameworks lend as such.

Compiled by Numba where it is installed; blocks of NumPy otherwise.
"""
