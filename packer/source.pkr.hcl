source "amazon-ebs" "ds_stack" {
  ami_name        = var.image_name
  ami_description = "Data science machine, baked from ${var.base_image_id} by iac.ds_stack"
  region          = var.region
  source_ami      = var.base_image_id
  imds_support    = "v2.0"

  instance_type     = var.instance_type
  subnet_id         = var.subnet_id
  shutdown_behavior = "terminate" # so that a machine whose Packer was killed can end itself

  # The default VPC gives public addresses by itself; another subnet may not.
  associate_public_ip_address = local.private ? false : var.subnet_id == null ? null : true

  # SSH is open to the caller only, and to nobody where Session Manager leads to it.
  temporary_security_group_source_cidrs     = local.private ? ["127.0.0.1/32"] : var.source_cidrs
  temporary_security_group_source_public_ip = ! local.private && length(var.source_cidrs) == 0

  ssh_interface        = local.private ? "session_manager" : null
  iam_instance_profile = var.session_manager_profile

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  ssh_username              = var.ssh_username
  ssh_timeout               = "10m"
  ssh_clear_authorized_keys = true
  temporary_key_pair_type   = "ed25519"

  # Without this the environment says how often Packer looks: AWS_MAX_ATTEMPTS, which boto3 takes for something
  # else. Two hours: how long a bake may take is the caller's to say.
  aws_polling {
    delay_seconds = 5
    max_attempts  = 1440
  }

  # Encrypted from the start, so that the snapshot is too: encrypt_boot would copy the whole image once more.
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
