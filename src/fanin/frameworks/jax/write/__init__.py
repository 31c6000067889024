"""Write: the values of one parameter, drawn shard by shard, and proof of what it holds."""
