output "group_ids" {
  description = "Ids of the groups primary, workers, service (EMR's) and connect (ours). They are given out once our rules are there."
  value = {
    primary = aws_security_group.primary.id
    workers = aws_security_group.workers.id
    service = aws_security_group.service.id
    connect = aws_security_group.connect.id
  }
  depends_on = [
    aws_vpc_security_group_ingress_rule.service,
    aws_vpc_security_group_egress_rule.nodes,
    aws_vpc_security_group_ingress_rule.connect,
  ]
}
