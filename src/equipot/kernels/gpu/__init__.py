"""The edge operation in Triton, generated from the same tape for values and every derivative."""
