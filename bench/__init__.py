"""Benchmarks: ratios against a raw client in the same run; client and server in separate processes, the CPU of each printed."""
