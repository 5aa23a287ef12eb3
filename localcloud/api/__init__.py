"""The AWS API: moto's backends with subclasses that act on podman, root disks, loop devices and nftables."""
