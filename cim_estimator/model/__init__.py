"""Workload -> costs, for one candidate or a population."""
