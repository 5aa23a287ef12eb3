# Two slots: while a machine is replaced there are two of them, and one is active, which has the volume and the address.
resource "aws_instance" "machine" {
  #checkov:skip=CKV_AWS_126:detailed monitoring costs money every month and nothing here reads it
  #checkov:skip=CKV_AWS_135:every current instance type is EBS-optimised by itself, and the old ones that are not refuse the setting
  for_each = var.machines

  ami           = each.value.image_id
  instance_type = each.value.instance_type

  # Whether the machine gets a public address is the subnet's choice. With associate_public_ip_address here, the
  # provider would want to replace a machine that is merely stopped, since its address is gone then.
  subnet_id              = var.subnet_id
  vpc_security_group_ids = [var.security_group_id]
  iam_instance_profile   = var.instance_profile_name

  # No user data: the machine knows its stack from its tags and reads the rest from its own parameters. User data
  # is readable by every process on the machine, and a change of it would stop and start the instance.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = var.root_volume_size_gib
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true

    tags = { Name = "${var.name}-root" }
  }

  tags = {
    Name              = each.key == var.active ? var.name : "${var.name}-${each.key}"
    "ds-stack:slot"   = each.key
    "ds-stack:active" = tostring(each.key == var.active)
  }
}

# The only machine of a stack that was made before there were slots.
moved {
  from = aws_instance.machine
  to   = aws_instance.machine["a"]
}

resource "aws_volume_attachment" "data" {
  # On Nitro instances the name is only a label: the machine finds the volume by its id.
  device_name = "/dev/sdf"
  instance_id = aws_instance.machine[var.active].id
  volume_id   = var.volume_id

  # Stopped first, the machine unmounts cleanly before the volume goes to the other one.
  stop_instance_before_detaching = true
}

resource "aws_eip" "machine" {
  count = var.static_ip ? 1 : 0

  domain = "vpc"

  tags = { Name = var.name }
}

# Apart from the address, so that the other machine gets the same one.
resource "aws_eip_association" "machine" {
  count = var.static_ip ? 1 : 0

  allocation_id = aws_eip.machine[0].allocation_id
  instance_id   = aws_instance.machine[var.active].id
}
