locals {
  # EC2 stores a network by its first address; written otherwise (198.51.100.7/24) it would differ in every plan.
  networks = toset([for cidr in var.allowed_cidrs : "${cidrhost(cidr, 0)}/${split("/", cidr)[1]}"])

  ingress = {
    for pair in setproduct(keys(var.ports), local.networks) :
    "${pair[0]} from ${pair[1]}" => { port = var.ports[pair[0]], cidr = pair[1] }
  }
}

resource "aws_security_group" "machine" {
  #checkov:skip=CKV2_AWS_5:the instance is made by another root module (terraform/instance), which gets this group's id
  name        = "ds-stack-${var.name}"
  description = "Machine of the data science stack ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = var.name }
}

resource "aws_vpc_security_group_ingress_rule" "service" {
  for_each = local.ingress

  security_group_id = aws_security_group.machine.id
  description       = each.key
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr

  tags = { Name = "${var.name}-${each.value.port}" }
}

# Outbound is open: data science means databases, git over SSH, clusters and package servers on ports that
# nobody can list beforehand, and a port filter keeps no data in while HTTPS is open.
resource "aws_vpc_security_group_egress_rule" "all" {
  #checkov:skip=CKV_AWS_382:see the comment above; nothing listens for an answer that the user did not start
  security_group_id = aws_security_group.machine.id
  description       = "all outbound traffic"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"

  tags = { Name = "${var.name}-outbound" }
}
