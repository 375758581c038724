"""What the node does, told to the audit trail."""
