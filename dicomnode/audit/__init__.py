"""The audit trail: messages of PS3.15 A.5 in files whose lines are chained, and on their way to a collector."""
