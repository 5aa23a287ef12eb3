output "security_group_id" {
  description = "Id of the machine's security group. It is given out once its rules are there."
  value       = aws_security_group.machine.id
  depends_on  = [aws_vpc_security_group_ingress_rule.service, aws_vpc_security_group_egress_rule.all]
}
