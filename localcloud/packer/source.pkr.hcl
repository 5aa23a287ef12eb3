# The source for Packer 1.6.6 and the API of the local cloud. It leaves out what that version does not know
# (metadata_options, imds_support, temporary_security_group_source_public_ip, temporary_key_pair_type) and
# keeps the rest of the template's.

variable "aws_endpoint_url" {
  type        = string
  default     = env("AWS_ENDPOINT_URL")
  description = "Address of the EC2 API."
}

source "amazon-ebs" "ds_stack" {
  ami_name        = var.image_name
  ami_description = "Data science machine, baked from ${var.base_image_id} by iac.ds_stack"
  region          = var.region
  source_ami      = var.base_image_id

  custom_endpoint_ec2     = var.aws_endpoint_url
  skip_metadata_api_check = true
  skip_region_validation  = true

  aws_polling {
    delay_seconds = 1
    max_attempts  = 600
  }

  instance_type     = var.instance_type
  subnet_id         = var.subnet_id
  shutdown_behavior = "terminate"

  temporary_security_group_source_cidrs = var.source_cidrs

  ssh_username              = var.ssh_username
  ssh_timeout               = "3m"
  ssh_clear_authorized_keys = true

  launch_block_device_mappings {
    device_name           = var.root_device_name
    volume_type           = "gp3"
    volume_size           = var.root_volume_size
    iops                  = 3000
    throughput            = 125
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }

  tags            = var.tags
  snapshot_tags   = var.tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}
