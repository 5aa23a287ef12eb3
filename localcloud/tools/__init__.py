"""Terraform and Packer: which of them this machine uses, and how the project comes by one where it has none.

Standard library only: `scripts/setup` runs this before anything is installed.
"""
