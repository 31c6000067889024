"""Data: images, tables and token ids, as packages or files hold them."""
