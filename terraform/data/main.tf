# The users' data: a volume in a root module of its own, so that nothing that happens to the machine or the
# network touches it.

module "tags" {
  source = "../modules/tags"

  name = var.name
  part = "data"
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

# A volume whose state was lost: it is taken over instead of making a second, empty one.
import {
  for_each = var.import_volume_id == null ? toset([]) : toset([var.import_volume_id])
  to       = module.data_volume.aws_ebs_volume.this
  id       = each.value
}

# Likewise what makes the backups: a second role of its name there cannot be, and a second policy would back up twice.
import {
  for_each = local.backed_up && var.import_backups.role != null ? toset([var.import_backups.role]) : toset([])
  to       = module.backups[0].aws_iam_role.backups
  id       = each.value
}

import {
  for_each = local.backed_up && var.import_backups.policy_id != null ? toset([var.import_backups.policy_id]) : toset([])
  to       = module.backups[0].aws_dlm_lifecycle_policy.backups
  id       = each.value
}

locals {
  backed_up = var.backups_keep_days > 0

  # A tag of its own: ds-stack:part is the same in every stack, and ds-stack:name is on other volumes too.
  backup_target = { key = "ds-stack:backups", value = var.name }
}

module "data_volume" {
  source = "../modules/data_volume"

  name              = var.name
  availability_zone = var.availability_zone
  size_gib          = var.size_gib
  kms_key_id        = var.kms_key_id
  final_snapshot    = var.final_snapshot
  tags              = local.backed_up ? { (local.backup_target.key) = local.backup_target.value } : {}
}

module "backups" {
  source = "../modules/backups"
  count  = local.backed_up ? 1 : 0

  name                 = var.name
  region               = var.region
  target               = local.backup_target
  keep_days            = var.backups_keep_days
  kms_key_id           = var.kms_key_id
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}
