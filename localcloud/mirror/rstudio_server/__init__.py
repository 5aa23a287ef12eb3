"""What the stand-in for the rstudio-server package is made of; localcloud/mirror/rstudio.py packs it."""
