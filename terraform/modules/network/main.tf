locals {
  # A zone's letter chooses its sixteenth of the VPC, so that a zone which is added later moves no subnet.
  zone_letters = split("", "abcdefghijklmnop")

  subnet_cidrs = {
    for zone in var.availability_zones :
    zone => cidrsubnet(var.cidr, 4, index(local.zone_letters, substr(zone, -1, 1)))
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:flow logs of a network with one machine cost more than they tell; an account that wants them turns them on for all its VPCs
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Whatever is started in this VPC without a security group of its own reaches nothing and is reached by nobody.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = local.subnet_cidrs

  #checkov:skip=CKV_AWS_130:a public address is the way out to package servers without a NAT gateway; no port is open unless allowed_cidrs says so
  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = true

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}
