"""A simulated AWS account on this machine: the API by moto, the instances by podman."""
