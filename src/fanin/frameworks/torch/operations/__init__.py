"""Operations: what each operation of torch becomes in the graph, in five tables."""
