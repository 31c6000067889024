"""Operations: what each primitive of lax becomes in the graph."""
