"""Sessions of R with their user's own limits and temporary files, as root on the machine starts them."""
