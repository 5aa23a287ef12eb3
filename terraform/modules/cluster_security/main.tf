# Three security groups whose rules are EMR's own affair, and one of ours: one port, from the machine alone.

# EMR's rules name the other groups, and a group that is named cannot be deleted. So each is deleted with all rules that
# name it; and one after the other (depends_on), since two that go at once would both revoke the same rule.

resource "aws_security_group" "primary" {
  #checkov:skip=CKV2_AWS_5:another module gives it to EMR
  name                   = "ds-stack-${var.name}-cluster-primary"
  description            = "Primary node of the data science stack ${var.name}: EMR adds the rules"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true

  tags = { Name = "${var.name}-cluster-primary" }
}

resource "aws_security_group" "workers" {
  #checkov:skip=CKV2_AWS_5:another module gives it to EMR
  name                   = "ds-stack-${var.name}-cluster-workers"
  description            = "Workers of the data science stack ${var.name}: EMR adds the rules"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true

  tags = { Name = "${var.name}-cluster-workers" }

  depends_on = [aws_security_group.primary]
}

resource "aws_security_group" "service" {
  #checkov:skip=CKV2_AWS_5:another module gives it to EMR
  name                   = "ds-stack-${var.name}-cluster-service"
  description            = "EMR's access to the nodes of the data science stack ${var.name}: EMR adds the rules"
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true

  tags = { Name = "${var.name}-cluster-service" }

  depends_on = [aws_security_group.workers]
}

# EMR does not add this one itself, and starts no cluster in a private subnet without it.
resource "aws_vpc_security_group_ingress_rule" "service" {
  security_group_id            = aws_security_group.service.id
  description                  = "EMR's agent on the primary node"
  referenced_security_group_id = aws_security_group.primary.id
  ip_protocol                  = "tcp"
  from_port                    = 9443
  to_port                      = 9443

  tags = { Name = "${var.name}-cluster-service" }
}

# Terraform takes away what AWS would give a new group, and EMR adds nothing outbound to a node's. A private subnet
# decides where this leads: to the VPC and its endpoints, or through somebody's own gateway.
resource "aws_vpc_security_group_egress_rule" "nodes" {
  for_each = {
    primary = aws_security_group.primary.id
    workers = aws_security_group.workers.id
  }

  #checkov:skip=CKV_AWS_382:see the comment above; nothing listens for an answer that the user did not start
  security_group_id = each.value
  description       = "all outbound traffic"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"

  tags = { Name = "${var.name}-cluster-outbound" }
}

resource "aws_security_group" "connect" {
  #checkov:skip=CKV2_AWS_5:it is given to EMR by another module, which gets its id
  name        = "ds-stack-${var.name}-cluster-connect"
  description = "Spark Connect of the data science stack ${var.name}, from its machine"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-cluster-connect" }
}

resource "aws_vpc_security_group_ingress_rule" "connect" {
  security_group_id            = aws_security_group.connect.id
  description                  = "Spark Connect from the machine"
  referenced_security_group_id = var.machine_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.connect_port
  to_port                      = var.connect_port

  tags = { Name = "${var.name}-cluster-connect" }
}
