# A private subnet for the cluster's nodes: no public address, no way to the internet. What they need of AWS they
# reach through endpoints: S3, and Systems Manager for the token of Spark Connect.

locals {
  # The sixteenth of a zone p, which no region has (terraform/modules/network deals them out by the zone's letter).
  cidr = cidrsubnet(var.vpc_cidr, 4, 15)
}

resource "aws_subnet" "private" {
  vpc_id            = var.vpc_id
  availability_zone = var.availability_zone
  cidr_block        = local.cidr

  tags = { Name = "${var.name}-cluster" }
}

resource "aws_route_table" "private" {
  vpc_id = var.vpc_id

  tags = { Name = "${var.name}-cluster" }
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = [aws_route_table.private.id]

  tags = { Name = "${var.name}-cluster-s3" }
}

# With its private name the endpoint answers the whole VPC, the machine too: hence the VPC's network below.
resource "aws_vpc_endpoint" "parameters" {
  vpc_id              = var.vpc_id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.ssm"
  private_dns_enabled = true
  subnet_ids          = [aws_subnet.private.id]
  security_group_ids  = [aws_security_group.parameters.id]

  tags = { Name = "${var.name}-cluster-ssm" }
}

resource "aws_security_group" "parameters" {
  name        = "ds-stack-${var.name}-cluster-endpoint"
  description = "Systems Manager for the VPC of the data science stack ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-cluster-endpoint" }
}

resource "aws_vpc_security_group_ingress_rule" "parameters" {
  security_group_id = aws_security_group.parameters.id
  description       = "HTTPS from the VPC"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = var.vpc_cidr

  tags = { Name = "${var.name}-cluster-endpoint" }
}
