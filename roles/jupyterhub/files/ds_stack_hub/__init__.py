"""What the hub has beside JupyterHub's own."""
