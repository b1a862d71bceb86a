"""Training in several processes: replicas of the model (DDP) or shards (FSDP)."""
