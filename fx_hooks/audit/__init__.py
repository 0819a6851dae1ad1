"""What artifacts weigh in a whole history."""
