"""The AWS API: moto's backends with subclasses that act on podman, loop devices and nftables."""

#: podman images that stand for AMIs.
IMAGE_REPOSITORY = "localhost/ds-stack-ami"
