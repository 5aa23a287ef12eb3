# A Spark cluster beside the machine, for what no machine holds: EMR, in a private subnet, reached by the stack's
# machine alone. It ends by itself when it is idle.

module "tags" {
  source = "../modules/tags"

  name = var.name
  part = "cluster"
  tags = var.tags
}

provider "aws" {
  region = var.region

  # Credentials that have expired are said within a minute. EMR waits for capacity by itself.
  max_retries = 10

  default_tags {
    # EMR's own policy acts only on what carries the second.
    tags = merge(module.tags.tags, { "for-use-with-amazon-emr-managed-policies" = "true" })
  }
}

module "network" {
  source = "../modules/cluster_network"
  count  = var.subnet_id == null ? 1 : 0

  name              = var.name
  region            = var.region
  vpc_id            = var.vpc_id
  vpc_cidr          = var.vpc_cidr
  availability_zone = var.availability_zone
}

module "logs" {
  source = "../modules/cluster_logs"

  name = var.name
}

module "iam" {
  source = "../modules/cluster_iam"

  name                 = var.name
  region               = var.region
  logs_bucket_arn      = module.logs.bucket_arn
  read_buckets         = var.read_buckets
  write_buckets        = var.write_buckets
  permissions_boundary = var.permissions_boundary
  policy_arns          = var.policy_arns
}

module "security" {
  source = "../modules/cluster_security"

  name                      = var.name
  vpc_id                    = var.vpc_id
  machine_security_group_id = var.machine_security_group_id
  connect_port              = var.connect_port
}

module "cluster" {
  source = "../modules/cluster"

  name                 = var.name
  region               = var.region
  release              = var.release
  image_id             = var.image_id
  instance_type        = var.instance_type
  root_volume_size_gib = var.root_volume_size_gib
  workers              = var.workers
  idle_minutes         = var.idle_minutes
  subnet_id            = var.subnet_id == null ? module.network[0].subnet_id : var.subnet_id
  security_group_ids   = module.security.group_ids
  service_role_arn     = module.iam.service_role_arn
  instance_profile_arn = module.iam.instance_profile_arn
  logs_uri             = module.logs.uri
  python               = var.python
  r_home               = var.r_home
}
