"""The account that owns the public Debian images, on AWS as here."""

DEBIAN_OWNER = "136693071363"
