"""What people and programs ask for over the network, each told to the audit trail under their name."""
