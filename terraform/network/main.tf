# The stack's network: a VPC with a public subnet in every availability zone (the data volume decides later which
# of them the machine lives in) and the machine's security group.

module "tags" {
  source = "../modules/tags"

  name = var.name
  part = "network"
  tags = var.tags
}

provider "aws" {
  region = var.region

  default_tags {
    tags = module.tags.tags
  }
}

# Zones are not filtered by their state: one that is impaired for an hour must not lose its subnet.
data "aws_availability_zones" "region" {
  count = var.availability_zones == null ? 1 : 0

  filter {
    name   = "zone-type"
    values = ["availability-zone"]
  }
}

locals {
  availability_zones = var.availability_zones == null ? toset(data.aws_availability_zones.region[0].names) : var.availability_zones
}

module "network" {
  source = "../modules/network"

  name               = var.name
  cidr               = var.vpc_cidr
  availability_zones = local.availability_zones
}

module "security" {
  source = "../modules/security"

  name          = var.name
  vpc_id        = module.network.vpc_id
  allowed_cidrs = var.allowed_cidrs
  ports         = var.ports
}
