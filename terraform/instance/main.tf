# The machine: its role, the instance from the baked image, and the data volume attached to it. Nothing here looks
# up what the other root modules make, so that a plan works before they have run.

module "tags" {
  source = "../modules/tags"

  name = var.name
  part = "instance"
  tags = var.tags
}

provider "aws" {
  region = var.region

  # The provider takes a lack of capacity for something that passes: with its own 25 tries it would be silent for hours.
  max_retries = 6

  default_tags {
    tags = module.tags.tags
  }
}

module "iam" {
  source = "../modules/iam"

  name                 = var.name
  region               = var.region
  permissions_boundary = var.permissions_boundary
  policy_arns          = var.policy_arns
}

module "compute" {
  source = "../modules/compute"

  name                  = var.name
  machines              = var.machines
  active                = var.active
  subnet_id             = var.subnet_id
  security_group_id     = var.security_group_id
  instance_profile_name = module.iam.instance_profile_name
  volume_id             = var.volume_id
  root_volume_size_gib  = var.root_volume_size_gib
  kms_key_id            = var.kms_key_id
  static_ip             = var.static_ip
}
