"""What the users' servers have beside Jupyter's own."""
