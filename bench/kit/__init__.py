"""What run.py is made of: programs, their processes, requests, workloads, instructions, report."""
