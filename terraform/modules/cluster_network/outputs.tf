output "subnet_id" {
  description = "Id of the private subnet. It is given out once its ways to S3 and to Systems Manager are there."
  value       = aws_subnet.private.id
  depends_on = [
    aws_route_table_association.private,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.parameters,
    aws_vpc_security_group_ingress_rule.parameters,
  ]
}
