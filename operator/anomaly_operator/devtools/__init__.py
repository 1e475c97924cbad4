"""Generators and the backtest: what developers and CI run."""
