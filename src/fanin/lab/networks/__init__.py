"""Networks: what is trained, built in or given."""
