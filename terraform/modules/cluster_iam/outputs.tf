output "service_role_arn" {
  description = "ARN of EMR's role. It is given out once the role has its rights."
  value       = aws_iam_role.emr.arn
  depends_on  = [aws_iam_role_policy_attachment.emr, aws_iam_role_policy.pass_nodes]
}

output "instance_profile_arn" {
  description = "ARN of the nodes' instance profile. It is given out once its role has its rights."
  value       = aws_iam_instance_profile.nodes.arn
  depends_on  = [aws_iam_role_policy.nodes, aws_iam_role_policy_attachment.further]
}
