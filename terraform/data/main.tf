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

module "data_volume" {
  source = "../modules/data_volume"

  name              = var.name
  availability_zone = var.availability_zone
  size_gib          = var.size_gib
  kms_key_id        = var.kms_key_id
  final_snapshot    = var.final_snapshot
}
