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

  default_tags {
    tags = module.tags.tags
  }
}

module "data_volume" {
  source = "../modules/data_volume"

  name              = var.name
  availability_zone = var.availability_zone
  size_gib          = var.size_gib
  kms_key_id        = var.kms_key_id
  final_snapshot    = var.final_snapshot
}
