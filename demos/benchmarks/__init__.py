"""What `benchmark.py` measures: workloads, the engines that run them, and compiled functions beside other tools."""
