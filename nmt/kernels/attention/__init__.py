"""Attention kernels: scaled dot-product, in blocks, in buckets, of features, packed, in search."""
