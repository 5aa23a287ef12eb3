"""What people do in their first hour on a machine, each with what must come of it."""
