"""The fixtures of all tests here. Those that they give are in machines.py, which the tests import."""

from machines import machine, operator

__all__ = ["machine", "operator"]
