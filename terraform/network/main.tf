# The stack's network: a VPC with a public subnet in every availability zone (the data volume decides later which
# of them the machine lives in) or a subnet that is there already; and the machine's security group.

module "tags" {
  source = "../modules/tags"

  name = var.name
  part = "network"
  tags = var.tags
}

provider "aws" {
  region = var.region

  # About a minute. The provider takes credentials that have expired for a wrong clock: its own 25 tries took 11.
  max_retries = 10

  default_tags {
    tags = module.tags.tags
  }
}

# Zones are not filtered by their state: one that is impaired for an hour must not lose its subnet.
data "aws_availability_zones" "region" {
  count = var.subnet_id == null && var.availability_zones == null ? 1 : 0

  filter {
    name   = "zone-type"
    values = ["availability-zone"]
  }
}

# Somebody else's: it is looked at and never changed.
data "aws_subnet" "existing" {
  count = var.subnet_id == null ? 0 : 1

  id = var.subnet_id
}

module "network" {
  source = "../modules/network"
  count  = var.subnet_id == null ? 1 : 0

  name               = var.name
  cidr               = var.vpc_cidr
  availability_zones = var.availability_zones == null ? toset(data.aws_availability_zones.region[0].names) : var.availability_zones
}

# Stacks that were made before a subnet could be named.
moved {
  from = module.network
  to   = module.network[0]
}

locals {
  vpc_id = var.subnet_id == null ? module.network[0].vpc_id : data.aws_subnet.existing[0].vpc_id
  subnet_ids = (
    var.subnet_id == null
    ? module.network[0].subnet_ids
    : { (data.aws_subnet.existing[0].availability_zone) = var.subnet_id }
  )
}

module "security" {
  source = "../modules/security"

  name          = var.name
  vpc_id        = local.vpc_id
  allowed_cidrs = var.allowed_cidrs
  ports         = var.ports
}
