"""What attention weights show: maps, word alignments, statistics, faithfulness."""
