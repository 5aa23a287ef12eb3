output "role_name" {
  description = "Name of the machine's role."
  value       = aws_iam_role.machine.name
}

output "instance_profile_name" {
  description = "Name of the instance profile that carries the role. It is given out once the role has its rights."
  value       = aws_iam_instance_profile.machine.name
  depends_on  = [aws_iam_role_policy.machine, aws_iam_role_policy_attachment.further]
}
